"""python -m bench.start: from a service's start to its first answer, and what it takes in memory then and under load.

Every service is started on its own ports with all its peers up, and asked at once what it is there for. Medians of five
starts. Times are wall clock on this machine, for information; the memory is the resident set of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.context.v1.context_service_pb2_grpc import ContextServiceStub
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.providers.v1.providers_service_pb2_grpc import ProvidersServiceStub
from omnisphere.router.v1 import router_service_pb2 as router_pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.client import open_channel
from services.chassis.settings import environment
from services.cli.client import conversation
from services.together.four_processes import FourProcesses

SECONDS = 10.0
CALLS, CALLERS = 1_000, 16


async def _ask(name: str, port: int, question: chat_pb2.Conversation) -> None:
    """The first thing that somebody would want of this service."""
    services = {"router": "router.v1.RouterService", "cache": "cache.v1.CacheService"}
    services |= {"context": "context.v1.ContextService", "providers": "providers.v1.ProvidersService"}
    channel = open_channel(f"127.0.0.1:{port}", health_name=f"omnisphere.{services[name]}")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "router": lambda: RouterServiceStub(channel).Complete(
            router_pb.CompleteRequest(conversation=question), timeout=SECONDS
        ),
        "cache": lambda: CacheServiceStub(channel).LookUp(
            cache_pb.LookUpRequest(query=cache_pb.Query(conversation=question)), timeout=SECONDS
        ),
        "context": lambda: ContextServiceStub(channel).CountTokens(
            context_pb.CountTokensRequest(conversation=question, model="gpt-5"), timeout=SECONDS
        ),
        "providers": lambda: ProvidersServiceStub(channel).Generate(
            providers_pb.GenerateRequest(
                generation=providers_pb.Generation(model="gpt-5", conversation=question, request_id="bench")
            ),
            timeout=SECONDS,
        ),
    }
    try:
        await calls[name]()
    finally:
        await channel.close()


async def load(port: int) -> None:
    """A thousand requests through the router, half of them repeated."""
    channel = open_channel(f"127.0.0.1:{port}", health_name="omnisphere.router.v1.RouterService")
    stub = RouterServiceStub(channel)
    gate = asyncio.Semaphore(CALLERS)

    async def call(number: int) -> None:
        async with gate:
            question = conversation(f"Question {number % (CALLS // 2)}: " + "more words " * 50)
            await stub.Complete(router_pb.CompleteRequest(conversation=question), timeout=SECONDS)

    await asyncio.gather(*(call(number) for number in range(CALLS)))
    await channel.close()


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def measure(starts: int) -> dict[str, dict[str, float]]:
    """Per service: seconds from start to first answer, and MB at rest and after a thousand requests."""
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="omnisphere-bench-") as folder:
        quiet = {f"OMNISPHERE_{name}_DRAIN": "0s" for name in ("ROUTER", "CACHE", "CONTEXT", "PROVIDERS")}
        simulated = {"OMNISPHERE_SIMULATOR": "on", "OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0"}
        environ = {**environment(), **quiet, **simulated, "OMNISPHERE_STATE": folder}
        mesh = FourProcesses(environ, logs=Path(folder) / "logs", simulator=True)
        await mesh.start()
        try:
            for name in ("router", "cache", "context", "providers"):
                seconds = []
                for number in range(starts):
                    await mesh.stop_one(name)
                    started = time.monotonic()
                    running = await mesh.start_again(name)
                    await _ask(name, running.port, conversation(f"Start {number} of {name}?"))
                    seconds.append(time.monotonic() - started)
                figures[name] = {"start_s": round(statistics.median(seconds), 2)}
            for name in figures:
                figures[name]["rss_mb"] = round(_resident_mb(mesh.services[name].process.pid), 1)
            await load(mesh.services["router"].port)
            for name in figures:
                figures[name]["rss_loaded_mb"] = round(_resident_mb(mesh.services[name].process.pid), 1)
        finally:
            await mesh.stop()
    return figures


def main() -> None:
    """Print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    figures = uvloop.run(measure(parser.parse_args().starts))
    table = Table("service", "start to first answer, s", "resident, MB", "resident after 1,000 requests, MB", box=None)
    for name, row in figures.items():
        table.add_row(name, str(row["start_s"]), str(row["rss_mb"]), str(row["rss_loaded_mb"]))
    Console(width=120).print(table)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
