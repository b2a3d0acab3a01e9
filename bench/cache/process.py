"""One cache process for a bench: started on free ports, asked over gRPC, its CPU time and memory read from /proc."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.chassis.settings import environment

SECONDS = 30.0
# A million vectors are written at the end.
_STOP_SECONDS = 120.0
_OPTIONS = (("grpc.max_receive_message_length", 64 * 1024 * 1024),)


@dataclass(frozen=True, slots=True)
class CacheProcess:
    """A running cache."""

    stub: rpc.CacheServiceAsyncStub
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident_mb(self) -> float:
        """Its resident memory now."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


@asynccontextmanager
async def cache_process(state: Path, **settings: str) -> AsyncIterator[CacheProcess]:
    """A cache with these settings (without the prefix), ready to be asked; ended at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = {f"OMNISPHERE_CACHE_{name.upper()}": value for name, value in settings.items()}
    ours = {"OMNISPHERE_CACHE_PORT": str(port), "OMNISPHERE_CACHE_METRICS_PORT": "-1", "OMNISPHERE_CACHE_DRAIN": "0s"}
    clean = {name: value for name, value in environment().items() if not name.startswith("OMNISPHERE_")}
    with (state / "log").open("a") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", "services.cache"],
            env=clean | ours | said | {"OMNISPHERE_STATE": str(state)},
            stdout=log,
            stderr=log,
        )
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
    try:
        await channel.channel_ready()
        yield CacheProcess(rpc.CacheServiceStub(channel), process.pid)
    finally:
        await channel.close()
        process.terminate()
        process.wait(_STOP_SECONDS)
