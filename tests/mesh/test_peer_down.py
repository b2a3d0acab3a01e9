"""A side service that is away degrades an answer, and says so in it; it never fails it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import PeerUnavailable
from tests.mesh.harness import asking, connected, started

pytestmark = pytest.mark.slow


@pytest.mark.timeout(60)
async def test_cache_and_context_away_degrade_and_providers_away_fails_with_the_peers_name(state: Path) -> None:
    async with started(state, OMNISPHERE_ROUTER_PROVIDERS_PATIENCE="1s") as running, connected(running) as mesh:
        await running.kill("cache")
        response = await mesh.complete("Who needs a cache?")
        assert response.decision.cache.outcome == cache_pb.CACHE_OUTCOME_UNAVAILABLE
        kinds = [degradation.kind for degradation in response.decision.degradations]
        assert kinds == [chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE]

        await running.kill("context")
        long = asking(*[f"Turn {n}: " + "and so on " * 80 for n in range(21)])
        request = pb.CompleteRequest(conversation=long, model="sim-tiny-8k")
        response = await mesh.call(mesh.router.Complete, request)
        subjects = [degradation.subject for degradation in response.decision.degradations]
        assert subjects == ["cache", "context"]
        assert await mesh.book_differences() == []

        await running.kill("providers")
        with pytest.raises(PeerUnavailable) as caught:
            await mesh.complete("Who needs models?")
        assert caught.value.metadata == {"peer": "providers"}


@pytest.mark.timeout(60)
async def test_a_service_that_comes_back_is_used_again(state: Path) -> None:
    async with started(state) as running, connected(running) as mesh:
        await mesh.complete("Kept over the restart of the cache?")
        await asyncio.sleep(0.3)
        await running.restart("cache")
        for _ in range(200):
            response = await mesh.complete("Kept over the restart of the cache?")
            if response.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT:
                break
            await asyncio.sleep(0.05)
        assert response.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
        assert not response.decision.degradations
