"""The router's side of leases: it waits for another router's answer, and says when none will come."""

from __future__ import annotations

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import ProviderUnavailable
from tests.fakes.peers import failed
from tests.unit.router.samples import FALLBACK, PRIMARY, assistant, rig, settle

MISS = cache_pb.CACHE_OUTCOME_MISS


def leased(grant: cache_pb.Lease.Grant.ValueType) -> cache_pb.LookUpResponse:
    return cache_pb.LookUpResponse(outcome=MISS, lease=cache_pb.Lease(grant=grant))


async def test_a_router_that_waits_looks_again_until_the_answer_is_there():
    hit = cache_pb.LookUpResponse(outcome=cache_pb.CACHE_OUTCOME_EXACT_HIT, entry_id="e")
    hit.reply.message.CopyFrom(assistant("theirs"))
    hit.reply.finish_reason = chat_pb2.FINISH_REASON_STOP
    async with rig() as it:
        it.cache.answers = [leased(cache_pb.Lease.GRANT_WAIT) for _ in range(3)] + [hit]
        asked = it.ask()
        for _ in range(3):
            await settle()
            it.clock.advance(1)
        outcome = await asked
    assert outcome.text == "theirs"
    assert len(it.cache.looked_up) == 4
    assert it.providers.asked == []
    (holder,) = {asked.lease_holder for asked in it.cache.looked_up if asked.want_lease}
    assert holder


async def test_a_router_that_leads_and_fails_says_that_no_answer_will_come():
    async with rig() as it:
        it.cache.answers = [leased(cache_pb.Lease.GRANT_LEAD)]
        for name in (PRIMARY, FALLBACK):
            it.providers.play(name, [failed(ProviderUnavailable, provider="p", cause="down")])
        outcome = await it.ask()
        await settle()
    assert outcome.error is not None
    (ended,) = it.cache.stored
    assert ended.reply.finish_reason == chat_pb2.FINISH_REASON_ERROR
    assert ended.query.conversation == it.cache.looked_up[0].query.conversation
