"""A real simulator on a free port, and a client that speaks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from services.simulator.bank import Bank, load_bank
from services.simulator.fleet import Model, load_fleet
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings


@pytest.fixture(scope="session")
def bank() -> Bank:
    return load_bank()


@pytest.fixture(scope="session")
def fleet() -> dict[str, Model]:
    return load_fleet()


@pytest.fixture(scope="session")
def speakers(fleet: dict[str, Model]) -> dict[str, Model]:
    """The models that answer conversations."""
    return {name: model for name, model in fleet.items() if not model.dimensions}


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulator = Simulator()
    await simulator.start(SimulatorSettings(port=0, latency_scale=0.0))
    yield simulator
    await simulator.stop()


class Client:
    """Sends requests as an OpenAI client would."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    def post(self, body: object, path: str = "/v1/chat/completions"):
        return self.session.post(path, json=body)

    async def ask(self, prompt: str, model: str = "gpt-5.6-sol", **extra) -> dict[str, Any]:
        """A unary answer's JSON."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **extra}
        async with self.post(body) as response:
            found: dict[str, Any] = await response.json()
        return found

    async def events(self, prompt: str, model: str = "gpt-5.6-sol", **extra) -> list[Any]:
        """A streamed answer's events; the end mark is the text [DONE]."""
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "stream": True, **extra}
        async with self.post(body) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            return parsed((await response.read()).decode())

    async def fault(self, **fault) -> None:
        async with self.post(fault, "/faults") as response:
            assert response.status == 200, await response.text()

    async def get(self, path: str) -> dict[str, Any]:
        async with self.session.get(path) as response:
            found: dict[str, Any] = await response.json()
        return found


def parsed(text: str) -> list[Any]:
    rows = [row.removeprefix("data: ") for row in text.split("\n\n") if row]
    return [row if row == "[DONE]" else json.loads(row) for row in rows]


@pytest_asyncio.fixture
async def client(simulator: Simulator) -> AsyncIterator[Client]:
    base = f"http://127.0.0.1:{simulator.port}"
    async with aiohttp.ClientSession(base, timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield Client(session)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait for something that the server does in its own time, two seconds at most."""

    async def wait(is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(2):
            while not is_so():  # noqa: ASYNC110 - the books have no event to wait for
                await asyncio.sleep(0.005)

    return wait
