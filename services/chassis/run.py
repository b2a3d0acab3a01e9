"""The process of one service: settings, wiring, server, signals, exit code."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import uvloop
from prometheus_client import CollectorRegistry

from services.chassis.logs import Field, Log, quieten_libraries
from services.chassis.server import Server, Service, catch_signals
from services.chassis.server_settings import ServerSettings
from services.chassis.settings import StartError, environment

# Set by a parent that wants its services to end with it, also when it is killed.
PARENT_VARIABLE = "OMNISPHERE_PARENT_PID"
_PR_SET_PDEATHSIG = 1

S = TypeVar("S", bound=ServerSettings)
Build = Callable[[S, Log, CollectorRegistry], Service]


def main(name: str, load: Callable[[Mapping[str, str]], S], build: Build[S]) -> None:
    """Run the service until it is told to stop. `--check` only validates settings and files.

    Exit codes: 0 after a drain, 2 when settings, files or ports are wrong (one line each on stderr).
    """
    end_with_parent()
    arguments = sys.argv[1:]
    if set(arguments) - {"--check"}:
        print(f"usage: omnisphere-{name} [--check]", file=sys.stderr)
        sys.exit(2)
    try:
        uvloop.run(_run(name, load, build, check_only="--check" in arguments))
    except StartError as failure:
        for line in str(failure).splitlines():
            print(f"{name}: {line}", file=sys.stderr)
        sys.exit(2)


def end_with_parent() -> None:
    """Where a parent asks for it: SIGTERM to this process once the parent is gone (prctl(2)).

    Done here and not between fork and exec: gRPC's fork handlers may break a child of a process with open channels.
    """
    parent = environment().get(PARENT_VARIABLE)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:  # it was gone before we asked
        sys.exit(0)


async def _run(name: str, load: Callable[[Mapping[str, str]], S], build: Build[S], *, check_only: bool) -> None:
    settings = load(environment())
    log = Log(name, level=settings.log_level)
    registry = CollectorRegistry()
    service = build(settings, log, registry)
    if check_only:
        print(f"{name}: settings are valid")
        return
    quieten_libraries(log)
    server = Server(service, settings, log=log, registry=registry)
    # Before the start, which may wait: as the first process of a container nothing else would end us but SIGKILL.
    asked_to_stop = catch_signals()
    if not await _started(server, asked_to_stop):
        log.announce("stopped")
        return
    settle_memory()
    ports: dict[str, Field] = {"port": server.port, "metrics_port": server.metrics_port}
    if server.http_port:
        ports["http_port"] = server.http_port
    log.announce("ready", host=settings.host, **ports)
    await asked_to_stop.wait()
    log.announce("draining", drain_seconds=settings.drain.total_seconds(), grace_seconds=settings.grace.total_seconds())
    await server.drain_and_stop()
    log.announce("stopped")


def settle_memory() -> None:
    """What was made at the start stays: the collector of garbage need not look through it again and again.

    Requests leave few cycles, so it may also wait longer: a tenth of the CPU of a request went into looking for them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def _started(server: Server, asked_to_stop: asyncio.Event) -> bool:
    """Start; false when we were asked to stop before it was done. Raises StartError."""
    starting = asyncio.create_task(server.start(), name="start")
    asked = asyncio.create_task(asked_to_stop.wait(), name="asked to stop")
    await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    await starting
    return True
