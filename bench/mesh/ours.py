"""Omnisphere under load: in one process and as four, with the upstream as its only model."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from bench.mesh.processes import Servers, said
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.together.four_processes import FourProcesses

COMPLETE = "/omnisphere.router.v1.RouterService/Complete"
STREAM = "/omnisphere.router.v1.RouterService/StreamComplete"
_MESSAGES, _WORDS = 20, 32
# What a ledger and logs cost is told by leaving them out.
BARE = {"OMNISPHERE_ROUTER_LEDGER": "off", "OMNISPHERE_PROVIDERS_LEDGER": "off"} | {
    f"OMNISPHERE_{name}_LOG_LEVEL": "warning" for name in ("ROUTER", "CACHE", "CONTEXT", "PROVIDERS")
}


@dataclass(frozen=True, slots=True)
class Running:
    """Where the router listens, and the processes whose CPU counts."""

    port: int
    http_port: int
    pids: tuple[int, ...]
    start_s: float


def question(*, miss: bool = False) -> pb.CompleteRequest:
    """Twenty messages, about 1,000 tokens. `miss`: the cache is asked, may not answer, and stores what comes."""
    request = pb.CompleteRequest(model="gpt-5-mini")
    for at in range(_MESSAGES):
        role = chat_pb2.ROLE_USER if at % 2 == 0 else chat_pb2.ROLE_ASSISTANT
        text = " ".join(f"word{at}x{word}" for word in range(_WORDS))
        request.conversation.messages.add(role=role, parts=[chat_pb2.Part(text=text)])
    request.conversation.messages.add(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="What is the capital?")])
    request.options.cache.no_cache = miss
    return request


def environment(base: Mapping[str, str], folder: Path, config: Path, **more: str) -> dict[str, str]:
    """Only the upstream answers; files live in `folder`; ports are free ones."""
    kept = {name: value for name, value in base.items() if not name.startswith("OMNISPHERE_")}
    return {
        **{name: value for name, value in kept.items() if not name.endswith("_API_KEY")},
        "OMNISPHERE_STATE": str(folder),
        "OMNISPHERE_SIMULATOR": "off",
        "OMNISPHERE_DISCOVER": "off",
        "OMNISPHERE_PROVIDERS_CONFIG": str(config),
        "OMNISPHERE_ROUTER_DRAIN": "0s",
        "COLUMNS": "200",
        **more,
    }


def one_process(servers: Servers, environ: Mapping[str, str]) -> Running:
    """`omnisphere up`, as a person starts it."""
    ports = {"OMNISPHERE_ROUTER_PORT": "0", "OMNISPHERE_ROUTER_METRICS_PORT": "0"}
    server = servers.start([sys.executable, "-m", "services.cli.main", "up"], {**environ, **ports})
    port = int(said(server, re.compile(r"router \(gRPC\)\s+127\.0\.0\.1:(\d+)")))
    http = re.search(r"router \(HTTP\)\s+\S*127\.0\.0\.1:(\d+)", server.output.read_text())
    return Running(port, int(http.group(1)) if http else 0, (server.process.pid,), server.seconds)


@asynccontextmanager
async def four_processes(environ: Mapping[str, str], folder: Path) -> AsyncIterator[Running]:
    """`omnisphere up --mesh`."""
    mesh = FourProcesses(environ, logs=folder / "logs", simulator=False)
    started = time.monotonic()
    await mesh.start()
    try:
        pids = tuple(running.process.pid for running in mesh.services.values())
        yield Running(mesh.services["router"].port, 0, pids, time.monotonic() - started)
    finally:
        await mesh.stop()


def verify(port: int, request: pb.CompleteRequest) -> pb.CompleteResponse:
    """One call by a client that reads the status; the answer."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer: pb.CompleteResponse = RouterServiceStub(channel).Complete(request, timeout=20, wait_for_ready=True)
    return answer
