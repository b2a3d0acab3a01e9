"""Outcomes that routers share over a real redis-server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from prometheus_client import CollectorRegistry

from services.chassis.clock import SystemClock
from services.router.learning.metrics import LearningMetrics
from services.router.learning.outcome_stream import STREAM, OutcomeStream
from services.router.learning.outcomes import Outcome, Outcomes
from tests.fakes.log import ReadableLog
from tests.fakes.redis_server import RedisServer
from tests.fakes.routing import ScriptedForecaster


class Router:
    """What a router has of it."""

    def __init__(self, url: str) -> None:
        self.learner = ScriptedForecaster()
        self.log = ReadableLog("router")
        self.up: list[bool] = []
        self.stream = OutcomeStream(url, log=self.log, clock=SystemClock(), shared=self.up.append)
        metrics = LearningMetrics(CollectorRegistry())
        self.outcomes = Outcomes(self.learner, self.stream.tell, key=b"key", clock=SystemClock(), metrics=metrics)

    def start(self) -> None:
        self.stream.start(self.outcomes.take)

    @property
    def learned(self) -> list[Outcome]:
        return self.learner.learned


def outcome(number: int, *, model: str = "gpt-5") -> Outcome:
    return Outcome("acme", f"r-{number}", "research", model, 0.25, "feedback", float(number), 0.5, bytes([number, 255]))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def pair(server) -> AsyncIterator[tuple[Router, Router]]:
    one, other = Router(server.url), Router(server.url)
    one.start()
    other.start()
    yield one, other
    await one.stream.stop()
    await other.stream.stop()


async def test_what_one_finds_all_learn_once(pair):
    one, other = pair
    for number in (1, 2, 3):
        one.outcomes.add(outcome(number))
    one.outcomes.add(outcome(2))
    await until(lambda: len(other.learned) == 3)
    other.outcomes.add(outcome(1))  # known: it came from the other one
    other.outcomes.add(outcome(9))
    await until(lambda: len(one.learned) == 4)
    assert other.learned == [outcome(1), outcome(2), outcome(3), outcome(9)]
    assert one.learned == other.learned
    assert one.up == [True]


async def test_a_router_that_starts_learns_what_was_found_before(pair, server):
    pair[0].outcomes.add(outcome(1))
    await until(lambda: len(pair[1].learned) == 1)
    late = Router(server.url)
    late.outcomes.take(outcome(1))  # from its own file
    pair[0].outcomes.add(outcome(2))
    late.start()
    await until(lambda: len(late.learned) == 2)
    await late.stream.stop()
    assert late.learned == [outcome(1), outcome(2)]


async def test_while_redis_is_away_each_learns_alone_and_what_waits_is_told_later(pair, server):
    one, other = pair
    await until(lambda: one.up == [True] and other.up == [True])
    server.kill()
    one.outcomes.add(outcome(1))
    assert one.learned == [outcome(1)]
    await until(lambda: one.up == [True, False] and other.up == [True, False])
    server.start()
    await until(lambda: other.learned == [outcome(1)])


async def test_what_is_no_outcome_is_left_out(pair, server):
    client = redis.Redis.from_url(server.url)
    good = {"tenant": "a", "request_id": "r", "task_type": "t", "model": "m", "score": 1, "source": "judge"}
    good |= {"at": 1, "propensity": 1, "noted": ""}
    wrong = ({"score": 2}, {"score": "nan"}, {"source": "rumour"}, {"noted": "?"}, {"propensity": 0})
    for text in ("", "[]", "{}", *(json.dumps(good | each) for each in wrong)):
        await client.xadd(STREAM, {"by": "somebody", "outcome": text})
    await client.xadd(STREAM, {"nothing": "at all"})
    await client.xadd(STREAM, {"by": "somebody", "outcome": json.dumps(good)})
    await until(lambda: len(pair[0].learned) == 1)
    await client.aclose()
    assert pair[0].learned[0].tenant == "a"
