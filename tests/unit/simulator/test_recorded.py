"""Recorded outcomes as a fleet: what is answered, booked and refused."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest
import pytest_asyncio

from services.chassis.settings import StartError
from services.simulator.recorded import read_recorded
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings
from tests.recorded import Row, Said, write
from tests.unit.simulator.conftest import Client

PRICES = {"cheap": (0.15, 0.6), "dear": (3.0, 15.0)}
ROWS = [
    Row(
        "1",
        "What is 6 times 7?",
        "sums",
        {"cheap": Said("It is 41.", "41", 0, 33), "dear": Said("It is 42.", "42", 1, 7)},
    ),
    Row("2", "And\n  twice that?", "sums", {"cheap": Said("84", "84", 1, 1), "dear": Said("So it is 84.", "84", 1, 5)}),
]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "sums", ROWS, PRICES)
    return tmp_path


@pytest_asyncio.fixture
async def replay(folder) -> AsyncIterator[Simulator]:
    simulator = Simulator()
    await simulator.start(SimulatorSettings(port=0, latency_scale=0.0, replay_outcomes=folder))
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def asking(replay) -> AsyncIterator[Client]:
    base = f"http://127.0.0.1:{replay.port}"
    async with aiohttp.ClientSession(base, timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield Client(session)


async def test_a_recorded_prompt_gets_the_recorded_text_tokens_and_cost(asking, replay):
    found = await asking.ask("What is 6 times 7?", "cheap")
    assert found["choices"][0]["message"]["content"] == "It is 41."
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == (5, 33)
    assert (await asking.ask("And\n  twice that?", "dear"))["choices"][0]["message"]["content"] == "So it is 84."
    assert replay.books.account("cheap").cost_nanousd == 5 * 150 + 33 * 600
    assert replay.books.account("dear").cost_nanousd == 5 * 3_000 + 5 * 15_000


async def test_a_stream_says_the_same(asking):
    events = await asking.events("What is 6 times 7?", "dear", stream_options={"include_usage": True})
    text = "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1] if e["choices"])
    assert text == "It is 42."
    assert events[-2]["usage"]["completion_tokens"] == 7


async def test_prices_and_windows_are_listed_as_those_of_the_fleet(asking):
    rows = {row["id"]: row for row in (await asking.get("/v1/models"))["data"]}
    assert set(rows) == {"cheap", "dear"}
    assert rows["dear"]["pricing"] == {"prompt": "0.000003", "completion": "0.000015"}
    assert rows["dear"]["simulated"]
    assert rows["dear"]["context_length"] > 100_000


async def test_what_was_not_recorded_is_refused_and_not_invented(asking, replay):
    body = {"model": "cheap", "messages": [{"role": "user", "content": "What is 6 times 8?"}]}
    async with asking.post(body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (400, "not_recorded")
    assert "`sums`" in error["message"]
    assert replay.books.account("cheap").failed == 1


async def test_what_stands_beside_the_prompt_is_counted_on_top(asking):
    messages = [{"role": "system", "content": "Be so brief!"}, {"role": "user", "content": "What is 6 times 7?"}]
    async with asking.post({"model": "cheap", "messages": messages}) as response:
        usage = (await response.json())["usage"]
    assert usage["prompt_tokens"] == 5 + 4 + 3


async def test_an_answer_that_is_cut_has_the_tokens_that_are_left(asking):
    found = await asking.ask("What is 6 times 7?", "cheap", max_tokens=1)
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"]["completion_tokens"] == 1


def test_costs_that_are_no_price_times_tokens_are_right_in_sum(tmp_path):
    usd = (0.001, 0.0035, 0.002)
    rows = [
        Row(str(number), "x" * 40 * (number + 1), "t", {"odd": Said("yes", "yes", 1, 10 * (3 - number), paid)})
        for number, paid in enumerate(usd)
    ]
    write(tmp_path, "odd", rows, {})
    found = read_recorded(tmp_path)
    assert found.fitted == {"odd"}
    price = found.models["odd"].price
    cost = sum(
        asked.tokens * price.input + (asked.said["odd"].tokens or 0) * price.output for asked in found.prompts.values()
    )
    assert float(cost) == pytest.approx(sum(usd) * 1e6, rel=1e-5)


def test_a_price_that_no_list_names_is_found_in_the_costs(tmp_path):
    rows = [
        Row(
            str(size),
            "y" * 4 * size,
            "t",
            {"known": Said("yes", "yes", 1, 7 + size * size, (size * 2 + (7 + size * size) * 8) / 1e6)},
        )
        for size in range(1, 9)
    ]
    write(tmp_path, "known", rows, {})
    found = read_recorded(tmp_path)
    assert not found.fitted
    assert (found.models["known"].price.input, found.models["known"].price.output) == (Decimal(2), Decimal(8))


def test_a_folder_without_answers_or_with_several_sets_is_told(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(StartError, match="no recorded outcomes"):
        read_recorded(empty)
    write(folder, "more", ROWS, PRICES)
    with pytest.raises(StartError, match="more, sums"):
        read_recorded(folder)
    with pytest.raises(StartError, match="no set less"):
        read_recorded(folder, "less")
    assert read_recorded(folder, "more").name == "more"


def test_files_of_another_form_are_told(folder):
    (folder / "sums_responses.parquet").write_bytes(b"no parquet")
    with pytest.raises(StartError, match="cannot be used"):
        read_recorded(folder)


def test_without_pyarrow_one_line_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StartError, match=r"omnisphere\[training\]") as caught:
        read_recorded(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
