"""The wall between tenants: nobody hits, sees or forgets what is another's."""

from __future__ import annotations

import grpc
import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import admin_service_pb2 as admin_pb
from omnisphere.router.v1 import router_service_pb2 as router_pb
from services.chassis.errors import InvalidRequest, Unauthenticated
from tests.mesh.harness import Mesh, asking
from tests.mesh.test_complete import until_hit


async def test_another_tenants_answer_is_not_there(mesh: Mesh) -> None:
    text = "What is the colour of the wall between tenants?"
    await mesh.complete(text, tenant="red")
    hit = await until_hit(mesh, text, tenant="red")
    assert hit.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
    other = await mesh.complete(text, tenant="blue")
    assert other.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS


async def test_a_tenant_forgets_its_own_entries_only(mesh: Mesh) -> None:
    text = "What is to be forgotten?"
    for tenant in ("keeps", "forgets"):
        await mesh.complete(text, tenant=tenant)
        await until_hit(mesh, text, tenant=tenant)
    entry = (await until_hit(mesh, text, tenant="keeps")).decision.cache.entry_id
    forget = admin_pb.InvalidateRequest(entry_id=entry)
    assert (await mesh.call(mesh.admin.Invalidate, forget, tenant="forgets")).entries == 0
    dry = admin_pb.InvalidateRequest(all=True, dry_run=True)
    assert (await mesh.call(mesh.admin.Invalidate, dry, tenant="forgets")).entries == 1
    everything = admin_pb.InvalidateRequest(all=True)
    assert (await mesh.call(mesh.admin.Invalidate, everything, tenant="forgets")).entries == 1
    again = await mesh.complete(text, tenant="forgets")
    assert again.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS
    kept = await mesh.complete(text, tenant="keeps")
    assert kept.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT


async def test_a_tenant_forgets_a_scope_and_begins_a_new_epoch(mesh: Mesh) -> None:
    text, other = "What is said before the epoch?", "Who tunes the piano of the opera?"
    for tenant in ("epoch", "no-epoch"):
        await mesh.complete(text, tenant=tenant)
        entry = (await until_hit(mesh, text, tenant=tenant)).decision.cache.entry_id
    scope = admin_pb.InvalidateRequest(scope_of_entry_id=entry)
    assert (await mesh.call(mesh.admin.Invalidate, scope, tenant="epoch")).entries == 0
    await mesh.complete(other, tenant="epoch")
    await until_hit(mesh, other, tenant="epoch")
    dry = admin_pb.InvalidateRequest(new_epoch=True, dry_run=True)
    assert (await mesh.call(mesh.admin.Invalidate, dry, tenant="epoch")).entries == 2
    epoch = admin_pb.InvalidateRequest(new_epoch=True)
    assert (await mesh.call(mesh.admin.Invalidate, epoch, tenant="epoch")).entries == 2
    again = await mesh.complete(text, tenant="epoch")
    assert again.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS
    kept = await mesh.complete(text, tenant="no-epoch")
    assert kept.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
    assert (await mesh.call(mesh.admin.Invalidate, scope, tenant="no-epoch")).entries == 1


async def test_the_figures_are_the_tenants_own(mesh: Mesh) -> None:
    for _ in range(2):
        await mesh.complete("How many figures?", tenant="figures")
        await until_hit(mesh, "How many figures?", tenant="figures")
    request = router_pb.CompleteRequest(conversation=asking("How many figures, drawn?"))
    request.conversation.sampling.temperature = 1.0
    await mesh.call(mesh.router.Complete, request, tenant="figures")
    stats = await mesh.call(mesh.admin.GetStats, admin_pb.GetStatsRequest(), tenant="figures")
    assert stats.not_eligible == 1
    assert stats.cache_entries == 1
    assert stats.exact_hits >= 2
    assert stats.misses >= 1
    assert stats.cache_bytes > 0


async def test_a_name_that_is_no_tenant_is_refused(mesh: Mesh) -> None:
    with pytest.raises(Unauthenticated):
        await mesh.complete("x", tenant="../../etc")
    with pytest.raises(InvalidRequest):
        await mesh.call(mesh.admin.Invalidate, admin_pb.InvalidateRequest(), tenant="red")


async def test_a_tenant_that_is_named_twice_is_refused(mesh: Mesh) -> None:
    twice = (("omnisphere-tenant", "red"), ("omnisphere-tenant", "blue"))  # as when a proxy adds the true one
    request = router_pb.CompleteRequest(conversation=asking("Whose am I?"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.router.Complete(request, metadata=twice)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
