"""The HTTP edge starts and stops with its router: health, running answers, and those that take too long."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import Counter
from pathlib import Path

import httpx
import pytest

from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.together.one_process import OneProcess, load
from tests.mesh.edge import CHAT, MESSAGES, SIMPLE, chat, chunks, http, message
from tests.mesh.harness import connected, environment, in_one_process, started


async def test_running_answers_finish_while_the_router_drains(state: Path) -> None:
    async with started(state, OMNISPHERE_ROUTER_DRAIN="300ms") as running, connected(running) as mesh:
        await mesh.fault(kind="slow_first", delay_ms=1_200, model=SIMPLE)
        async with http(mesh) as client:
            assert (await client.get("/healthz")).status_code == 200
            call = asyncio.create_task(client.post(CHAT, json=chat("Slow, while it drains")))
            await asyncio.sleep(0.2)
            stopping = asyncio.create_task(running.stop_one("router"))
            await asyncio.sleep(0.1)
            health = await client.get("/healthz")
            assert (health.status_code, health.json()) == (503, {"status": "draining"})
            assert health.headers["connection"] == "close"
            answer = await call
            assert answer.status_code == 200
            await stopping
            with pytest.raises(httpx.ConnectError):
                await client.get("/healthz")
        assert await mesh.book_differences() == []


async def test_sigterm_under_load_breaks_no_answer(state: Path) -> None:
    """Callers with connections that they keep: the only thing that they may meet is a closed door."""
    async with started(state, OMNISPHERE_ROUTER_DRAIN="300ms") as running, connected(running) as mesh:
        statuses: Counter[int] = Counter()
        busy = asyncio.Event()

        async def ask_on(caller: int) -> str:
            async with http(mesh) as client:
                for number in itertools.count():
                    try:
                        answer = await client.post(CHAT, json=chat(f"Question {caller} {number % 20}"))
                    except httpx.TransportError as failure:
                        return type(failure).__name__
                    statuses[answer.status_code] += 1
                    if statuses.total() > 50:
                        busy.set()
            raise AssertionError  # it asks until the door is closed

        callers = [asyncio.create_task(ask_on(caller)) for caller in range(8)]
        await busy.wait()
        await running.stop_one("router")
        endings = Counter(await asyncio.gather(*callers))
    assert endings == {"ConnectError": 8}
    assert set(statuses) == {200}


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_what_outlives_the_grace_is_told_so_and_cut(state: Path, path: str) -> None:
    async with (
        started(state, OMNISPHERE_ROUTER_GRACE="200ms", OMNISPHERE_ROUTER_DRAIN="0s") as running,
        connected(running) as mesh,
    ):
        await mesh.fault(kind="stall", after_chunks=4, model=SIMPLE)
        await mesh.fault(kind="slow_first", delay_ms=9_000, model="gpt-5")
        ask = chat if path == CHAT else message
        async with http(mesh) as client:
            whole = asyncio.create_task(client.post(path, json=ask("Too slow to wait for", model="gpt-5")))
            stream = asyncio.create_task(client.post(path, json=ask("Stalls", stream=True)))
            await asyncio.sleep(0.3)
            await running.stop_one("router")
            assert (await whole).status_code == 503
            body = (await stream).text
    last = chunks(body)[-1]
    assert "going down" in last["error"]["message"]


async def test_a_taken_port_is_said_in_one_line(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {"PORT": "0", "METRICS_PORT": "-1", "HTTP_PORT": str(port)}
        settings = load(environment(state, **{f"OMNISPHERE_ROUTER_{name}": value for name, value in ports.items()}))
        with (state / "log").open("w") as out, pytest.raises(StartError, match=rf"http port 127.0.0.1:{port} cannot"):
            await OneProcess(settings, Log("omnisphere", stream=out)).start()


async def test_the_edge_can_be_turned_off(state: Path) -> None:
    async with in_one_process(state, OMNISPHERE_ROUTER_HTTP_PORT="-1") as mesh:
        assert mesh.base_url.endswith(":0")
        assert (await mesh.complete("Over gRPC only")).decision.attempts


async def test_more_than_the_most_calls_are_sent_away(state: Path) -> None:
    async with in_one_process(state, OMNISPHERE_ROUTER_MOST_CALLS="1") as mesh, http(mesh) as client:
        await mesh.fault(kind="slow_first", delay_ms=600, model=SIMPLE)
        first = asyncio.create_task(client.post(CHAT, json=chat("The one that is served")))
        await asyncio.sleep(0.2)
        second = await client.post(CHAT, json=chat("The one too many"))
        assert (second.status_code, second.json()["error"]["code"]) == (429, "overloaded")
        assert second.headers["retry-after"] == "1"
        assert (await client.get("/healthz")).status_code == 200
        assert (await first).status_code == 200
        assert await mesh.book_differences() == []
