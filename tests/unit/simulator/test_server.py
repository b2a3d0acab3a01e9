"""The server starts, lists, remembers, paces, and stops at once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from services.simulator.faults import Fault, FaultKind
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings


async def test_models_are_listed_with_exact_prices(client, fleet):
    listed = await client.get("/v1/models")
    assert listed["object"] == "list"
    rows = {row["id"]: row for row in listed["data"]}
    assert set(rows) == set(fleet)
    assert rows["deepseek-v3.2"]["pricing"] == {
        "prompt": "0.0000002288",
        "completion": "0.0000003432",
    }
    assert rows["claude-opus-5-5"]["pricing"] == {
        "prompt": "0.000004",
        "completion": "0.00002",
        "input_cache_read": "0.0000002",
    }
    assert rows["qwen3-8b"]["pricing"] == {"prompt": "0", "completion": "0"}
    assert rows["sim-tiny-8k"]["context_length"] == 8192
    for name, row in rows.items():
        assert row["object"] == "model"
        assert row["simulated"] is True
        assert Decimal(row["pricing"]["prompt"]) * 1_000_000 == fleet[name].price.input
        assert not any("e" in text.lower() for text in row["pricing"].values())


async def test_requests_are_remembered_without_credentials_and_bounded(client, simulator):
    headers = {"Authorization": "Bearer sk-secret"}
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}
    async with client.session.post("/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200
        assert response.headers["server"] == "omnisphere-simulator"
    kept = await client.get("/requests")
    assert kept == {"requests": [{"path": "/v1/chat/completions", "body": body}]}
    assert "secret" not in str(kept)
    assert simulator.requests.maxlen == 200


async def test_a_client_that_hangs_up_is_booked_as_interrupted_with_what_was_sent(until):
    simulator = Simulator()
    await simulator.start(SimulatorSettings(port=0, latency_scale=0.2))
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        response = await session.post("/v1/chat/completions", json=body)
        for _ in range(3):
            await response.content.readuntil(b"\n\n")
        response.close()
        await until(lambda: simulator.books.total().interrupted == 1)
    await simulator.stop()
    total = simulator.books.total()
    assert (total.completed, total.output_tokens, total.cost_nanousd) == (0, 0, 0)
    assert 5 <= total.interrupted_output_tokens <= 15


async def test_pace_follows_the_model_and_the_scale(bank):
    simulator = Simulator()
    await simulator.start(SimulatorSettings(port=0, latency_scale=0.1))
    prompt = bank.by_id["qa-feb-2023"]
    body = {"model": "qwen3-8b", "messages": [{"role": "user", "content": prompt.text}]}
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        started = loop.time()
        async with session.post("/v1/chat/completions", json=body) as response:
            made = (await response.json())["usage"]["completion_tokens"]
        took = loop.time() - started
    await simulator.stop()
    expected = (0.150 + made / 45) * 0.1
    assert expected <= took < expected + 0.2


async def test_stop_is_quick_with_open_streams_and_books_them_as_interrupted(until):
    simulator = Simulator()
    await simulator.start(SimulatorSettings(port=0, latency_scale=0.0))
    for kind in (FaultKind.SILENCE, FaultKind.STALL, FaultKind.DRIP):
        simulator.faults.add(Fault(kind))
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{simulator.port}") as session:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(asking(session, body)) for _ in range(3)]
            await until(lambda: simulator.books.total().requests == 3)
            await asyncio.sleep(0.02)
            started = asyncio.get_running_loop().time()
            await simulator.stop()
            assert asyncio.get_running_loop().time() - started <= 0.5
        assert [task.result() for task in asked] == ["broken"] * 3
    assert simulator.books.total().interrupted == 3
    await simulator.stop()


async def asking(session: aiohttp.ClientSession, body: dict[str, Any]) -> str:
    try:
        async with session.post("/v1/chat/completions", json=body) as response:
            await response.read()
    except aiohttp.ClientError:
        return "broken"
    return "whole"


async def test_a_port_in_use_is_an_os_error_and_leaves_nothing_behind(simulator):
    second = Simulator()
    with pytest.raises(OSError, match="address already in use"):
        await second.start(SimulatorSettings(port=simulator.port))
    await second.stop()


async def test_concurrent_requests_are_all_served_and_booked(client, simulator, bank):
    texts = [prompt.text for prompt in list(bank.by_id.values())[:40]]
    async with asyncio.TaskGroup() as group:
        for text in texts:
            group.create_task(client.ask(text, "gpt-5-mini"))
    assert simulator.books.account("gpt-5-mini").completed == 40
