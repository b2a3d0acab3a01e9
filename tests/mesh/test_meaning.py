"""Questions of the same meaning through the whole mesh: answered from the cache, refused with the reason, checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import admin_service_pb2 as admin_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from tests.mesh.harness import Mesh, as_four_processes, asking, text_of

SECONDS = 5.0


async def explained(mesh: Mesh, text: str, tenant: str = "") -> Any:
    response = await mesh.call(mesh.router.Explain, pb.ExplainRequest(conversation=asking(text)), tenant=tenant)
    return response.decision


async def until_kept(mesh: Mesh, text: str, tenant: str = "") -> Any:
    """The decision for `text` once something near it is kept: storing happens after the answer."""
    async with asyncio.timeout(SECONDS):
        while True:
            decision = await explained(mesh, text, tenant)
            if decision.cache.similarity:
                return decision
            await asyncio.sleep(0.02)


async def test_a_question_of_the_same_meaning_is_answered_from_the_cache_and_says_why(mesh: Mesh) -> None:
    first = await mesh.complete("How can I descale my old kettle?", tenant="meaning")
    decision = await until_kept(mesh, "How do I descale my old kettle?", "meaning")
    assert decision.cache.outcome == cache_pb.CACHE_OUTCOME_SEMANTIC_HIT
    assert decision.cache.confidence >= decision.cache.threshold > 0.5
    upstream = await mesh.upstream_requests()
    second = await mesh.complete("How do I descale my old kettle?", tenant="meaning")
    assert text_of(second.message) == text_of(first.message)
    assert second.decision.cache.outcome == cache_pb.CACHE_OUTCOME_SEMANTIC_HIT
    assert second.cost.nanousd == 0
    assert second.decision.savings.cache_nanousd == first.cost.nanousd
    stats = await mesh.call(mesh.admin.GetStats, admin_pb.GetStatsRequest(), tenant="meaning")
    assert stats.semantic_hits == 1
    assert await mesh.upstream_requests() - upstream <= 1  # the check, where the cache asked for one


async def test_a_near_miss_and_a_request_that_is_not_eligible_say_why(mesh: Mesh) -> None:
    await mesh.complete("What was daily life like before the printing press?", tenant="near")
    refused = (await until_kept(mesh, "What was daily life like after the printing press?", "near")).cache
    assert (refused.outcome, refused.reason) == (cache_pb.CACHE_OUTCOME_MISS, cache_pb.CACHE_REASON_VETOED)
    assert refused.veto == cache_pb.CACHE_VETO_REVERSAL
    volatile = await explained(mesh, "What is the weather in Oslo today?")
    assert volatile.cache.reason == cache_pb.CACHE_REASON_VOLATILE


async def test_another_tenant_does_not_get_an_answer_by_meaning(mesh: Mesh) -> None:
    await mesh.complete("How can I polish a brass lamp?", tenant="one")
    await until_kept(mesh, "How do I polish a brass lamp?", "one")
    assert (await explained(mesh, "How do I polish a brass lamp?", "other")).cache.similarity == 0


@pytest.mark.parametrize("shared_mesh", ["four_processes"], indirect=True)
async def test_the_cache_itself_embeds_and_leases(mesh: Mesh) -> None:
    """Over the cache's own door: what routing and several routers need."""
    texts = cache_pb.EmbedTextsRequest(texts=["How can I mend a torn sail?"])
    (vector,) = (await mesh.call(mesh.cache.EmbedTexts, texts)).embeddings
    assert len(vector.values) == 384
    query = cache_pb.Query(conversation=asking("How can I mend a torn sail?"), model="m")
    request = cache_pb.LookUpRequest(query=query, want_embedding=True, want_lease=True, lease_holder="a")
    missed = await mesh.call(mesh.cache.LookUp, request)
    assert missed.embedding == vector
    assert missed.lease.grant == cache_pb.Lease.GRANT_LEAD
    request.lease_holder = "b"
    waits = await mesh.call(mesh.cache.LookUp, request)
    assert (waits.lease.grant, waits.lease.until) == (cache_pb.Lease.GRANT_WAIT, missed.lease.until)


@pytest.mark.slow
async def test_hits_that_the_cache_asks_to_check_are_asked_again_and_reported(state: Path) -> None:
    async with as_four_processes(state, OMNISPHERE_CACHE_CHECK_SHARE="1") as mesh:
        await mesh.complete("How can I descale my old kettle?")
        await until_kept(mesh, "How do I descale my old kettle?")
        upstream = await mesh.upstream_requests()
        hit = await mesh.complete("How do I descale my old kettle?")
        assert hit.decision.cache.outcome == cache_pb.CACHE_OUTCOME_SEMANTIC_HIT
        assert hit.cost.nanousd == 0
        async with asyncio.timeout(SECONDS):
            while True:
                if await _checks(mesh) == 1:
                    break
                await asyncio.sleep(0.02)
        assert await mesh.upstream_requests() == upstream + 1
        conversation, policy = asking("How do I descale my old kettle?"), hit.decision.policy_hash
        query = cache_pb.Query(conversation=conversation, policy_hash=policy, simulated=True)
        asked = await mesh.call(mesh.cache.LookUp, cache_pb.LookUpRequest(query=query))
        assert (asked.outcome, asked.check_probability) == (cache_pb.CACHE_OUTCOME_SEMANTIC_HIT, 1)
        near = cache_pb.Query(policy_hash=policy, simulated=True)
        near.conversation.CopyFrom(asking("Why do I descale my old kettle 3 times?"))
        refused = await mesh.call(mesh.cache.LookUp, cache_pb.LookUpRequest(query=near))
        assert refused.veto == cache_pb.CACHE_VETO_NUMBERS
        stats = await mesh.call(mesh.cache.GetStats, cache_pb.GetStatsRequest())
        assert stats.semantic_hits == 2
        verdict = cache_pb.ReportHitRequest.VERDICT_UNKNOWN
        report = cache_pb.ReportHitRequest(entry_id=hit.decision.cache.entry_id, query=query, verdict=verdict)
        assert (await mesh.call(mesh.cache.ReportHit, report)).threshold > 0.5
        assert await mesh.book_differences() == []


async def _checks(mesh: Mesh) -> float:
    """How many checks came to a verdict."""
    counted = "omnisphere_router_shadow_checks_total{check="
    lines = (await mesh.router_metrics()).splitlines()
    named = [line for line in lines if line.startswith(counted) and line.split('"')[1] in ("right", "wrong", "unknown")]
    return sum(float(line.split()[-1]) for line in named)
