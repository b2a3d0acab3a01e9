"""SIGTERM on any service under load loses no call, with channel retries off: the drain alone must do it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ServiceError
from services.together.four_processes import FourProcesses
from tests.mesh.harness import Mesh, asking, connected, started

CALLERS = 24
ROUNDS = 3
CALLS_AT_LEAST = 10_000
# Most calls repeat a question, as they do in life; every eighth is new and travels through all services.
NEW_EVERY = 8
QUESTIONS = 64


class Load:
    """Callers that ask without pause until they are told to stop."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._numbers = itertools.count()
        self.running = True
        self.enough = asyncio.Event()
        self.calls = 0
        self.failures: Counter[str] = Counter()
        self.attempts = 0
        self.degraded: Counter[str] = Counter()

    async def ask_on(self) -> None:
        while self.running:
            number = next(self._numbers)
            text = f"New question {number}" if number % NEW_EVERY == 0 else f"Question {number % QUESTIONS}"
            request = pb.CompleteRequest(conversation=asking(text))
            self.calls += 1
            if self.calls >= CALLS_AT_LEAST:
                self.enough.set()
            try:
                response = await self._mesh.call(self._mesh.router.Complete, request, timeout=20)
            except ServiceError as failure:
                self.failures[f"{failure.reason()} {failure.metadata}"] += 1
                continue
            self.attempts += len(response.decision.attempts)
            for degradation in response.decision.degradations:
                self.degraded[chat_pb2.Degradation.Kind.Name(degradation.kind)] += 1


async def _restart_each(running: FourProcesses) -> int:
    restarts = 0
    for _ in range(ROUNDS):
        for name in ("router", "cache", "context", "providers"):
            await running.restart(name)
            await asyncio.sleep(0.2)
            restarts += 1
    return restarts


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_restarts_under_load_lose_no_call(state: Path) -> None:
    drain = {f"OMNISPHERE_{name}_DRAIN": "500ms" for name in ("ROUTER", "CACHE", "CONTEXT", "PROVIDERS")}
    quiet = {f"OMNISPHERE_{name}_LOG_LEVEL": "warning" for name in ("CACHE", "CONTEXT", "PROVIDERS")}
    without_retries = {"OMNISPHERE_ROUTER_CHANNEL_RETRIES": "off"}
    async with (
        started(state, **drain, **quiet, **without_retries) as running,
        connected(running, retries=False) as mesh,
    ):
        load = Load(mesh)
        callers = [asyncio.create_task(load.ask_on()) for _ in range(CALLERS)]
        restarts = await _restart_each(running)
        await load.enough.wait()
        load.running = False
        await asyncio.gather(*callers)
        served = (await mesh._simulated("/books"))["total"]
    print(f"{restarts} restarts, {load.calls:,} calls, degraded: {dict(load.degraded)}")
    assert load.failures == {}
    assert restarts >= 10
    # The providers' own counters end with each process; what the answers say must add up all the same.
    assert load.attempts == served["completed"] == served["requests"]
