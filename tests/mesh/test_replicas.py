"""Two meshes over one Redis: equal requests to both make one call to a model, and what one keeps the other has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import admin_service_pb2 as admin_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from tests.fakes.redis_server import RedisServer, running_redis
from tests.mesh.harness import Mesh, as_four_processes, asking, in_one_process, text_of
from tests.mesh.test_complete import until_hit

pytestmark = pytest.mark.slow


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


def folder(state: Path, name: str) -> Path:
    made = state / name
    made.mkdir()
    return made


async def test_a_hundred_equal_requests_to_two_routers_make_one_call(redis: RedisServer, state: Path) -> None:
    shared = {"OMNISPHERE_CACHE_REDIS": redis.url}
    # Each simulator knows only of its own mesh; slow enough that all requests meet. A router that
    # loses patience with its cache goes without, which is not what is asked here.
    slow = shared | {"OMNISPHERE_SIMULATOR_LATENCY_SCALE": "1", "OMNISPHERE_ROUTER_CACHE_TIMEOUT": "10s"}
    async with (
        in_one_process(folder(state, "a"), **slow) as one,
        in_one_process(folder(state, "b"), **slow) as other,
    ):
        # Nobody has asked anything before: the first requests that there are meet.
        request = pb.CompleteRequest(conversation=asking("What is the most common word in this sentence?"))
        streamed = pb.StreamCompleteRequest(conversation=request.conversation)

        async def whole(mesh: Mesh) -> str:
            return text_of((await mesh.call(mesh.router.Complete, request, timeout=15)).message)

        async def stream(mesh: Mesh) -> str:
            events, error = await mesh.stream(streamed)
            assert error is None
            return "".join(part.text for event in events for part in event.delta.parts)

        meshes = [one, other] * 25
        answers = await asyncio.gather(*map(whole, meshes), *map(stream, meshes))
        assert len(answers) == 100
        assert len(set(answers)) == 1
        assert answers[0]
        assert await one.upstream_requests() + await other.upstream_requests() == 1
        stats = await one.call(one.admin.GetStats, admin_pb.GetStatsRequest())
        assert stats.cache_entries == 1


async def test_a_cache_says_that_it_shares_entries(redis: RedisServer, state: Path) -> None:
    async with as_four_processes(state, OMNISPHERE_CACHE_REDIS=redis.url) as mesh:
        assert (await mesh.call(mesh.cache.GetStats, cache_pb.GetStatsRequest())).shared


async def test_three_replicas_hit_as_often_as_one_and_forget_together(redis: RedisServer, state: Path) -> None:
    shared = {"OMNISPHERE_CACHE_REDIS": redis.url}
    async with (
        in_one_process(folder(state, "a"), **shared) as one,
        in_one_process(folder(state, "b"), **shared) as other,
        in_one_process(folder(state, "c"), **shared) as third,
    ):
        meshes = [one, other, third]
        questions = [f"What is the plural of the word number {number}?" for number in range(10)]
        for place, question in enumerate(questions):
            await meshes[place % 3].complete(question)
            await until_hit(meshes[(place + 1) % 3], question)
        hits = 0
        for place, question in enumerate(questions * 9):
            response = await meshes[place % 3].complete(question)
            hits += response.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
        assert hits == 90
        calls = [await mesh.upstream_requests() for mesh in meshes]
        assert sum(calls) == 10
        await one.call(one.admin.Invalidate, admin_pb.InvalidateRequest(all=True))
        async with asyncio.timeout(5):
            while True:
                if not (await third.call(third.admin.GetStats, admin_pb.GetStatsRequest())).cache_entries:
                    break
                await asyncio.sleep(0.02)


async def test_what_one_router_learns_the_other_knows(redis: RedisServer, state: Path) -> None:
    shared = {"OMNISPHERE_ROUTER_REDIS": redis.url, "OMNISPHERE_ROUTER_FEEDBACK_KEY": "the same in both"}
    async with (
        in_one_process(folder(state, "a"), **shared) as one,
        in_one_process(folder(state, "b"), **shared) as other,
    ):
        options = pb.RequestOptions(policy="cost_aware", task_hint="research")
        request = pb.CompleteRequest(conversation=asking("Who knows?"), options=options)
        answered = await one.call(one.router.Complete, request)
        # It counts at whichever router it arrives.
        feedback = pb.RecordFeedbackRequest(feedback_token=answered.decision.feedback_token, score=0.0)
        await other.call(other.router.RecordFeedback, feedback)
        explain = pb.ExplainRequest(conversation=asking("And now?"), options=options)
        async with asyncio.timeout(20):
            while True:
                known = (await one.call(one.router.Explain, explain)).decision.candidates
                if any(each.outcomes for each in known):
                    break
                await asyncio.sleep(0.02)
        assert {each.model: each.outcomes for each in known if each.outcomes} == {answered.decision.model: 1}
