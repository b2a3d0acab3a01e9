"""A router that restarts under the Python client's load fails no call: the client watches health, and leaves early."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omnisphere_client import AsyncClient, Client
from tests.mesh.harness import started

ASKERS = 6
THREADS = 3
ANSWERS = 100  # before, between and after the restarts
RESTARTS = 2


class Load:
    """Callers of both kinds that ask without pause; a failure ends the one that met it, and so the test."""

    def __init__(self) -> None:
        self.running = True
        self.calls = 0
        self.came = asyncio.Semaphore(0)

    async def goes_on(self) -> None:
        """Wait for the next answers."""
        self.came = asyncio.Semaphore(0)
        async with asyncio.timeout(20):
            for _ in range(ANSWERS):
                await self.came.acquire()

    async def ask_on(self, client: AsyncClient) -> None:
        while self.running:
            assert (await client.complete(f"Question {self.calls % 16}", timeout=20)).text
            self.calls += 1
            self.came.release()

    def ask_on_in_a_thread(self, client: Client) -> None:
        while self.running:
            with client.stream(f"Question {self.calls % 16}", timeout=20) as stream:
                assert stream.result().text
            self.calls += 1


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_restart_of_the_router_fails_no_call_of_either_client(state: Path) -> None:
    async with started(state, OMNISPHERE_ROUTER_DRAIN="500ms") as running:
        target = f"127.0.0.1:{running.services['router'].port}"
        load = Load()
        async with AsyncClient(target) as client:
            threaded = Client(target)
            callers = [asyncio.ensure_future(load.ask_on(client)) for _ in range(ASKERS)]
            callers += [
                asyncio.ensure_future(asyncio.to_thread(load.ask_on_in_a_thread, threaded)) for _ in range(THREADS)
            ]
            for _ in range(RESTARTS):
                await load.goes_on()
                await running.restart("router")
            await load.goes_on()
            load.running = False
            await asyncio.gather(*callers)
            threaded.close()
