"""A request that the cache answers again and again is known by its bytes, and its entry is asked after each time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.errors import InvalidRequest, PeerUnavailable
from services.chassis.interceptors import Unread
from services.router.hot import _rest
from tests.unit.router.samples import PRIMARY, Rig, assistant, caller, model, rig, settle, talk


@pytest.fixture
async def it() -> AsyncIterator[Rig]:
    """A router whose cache has an answer."""
    async with rig() as made:
        made.cache.hit = cache_pb.CachedReply(
            message=assistant("kept"),
            finish_reason=chat_pb2.FINISH_REASON_STOP,
            model=PRIMARY,
            usage=chat_pb2.Usage(input_uncached_tokens=1_000, output_tokens=1_000),
            cost=chat_pb2.Cost(nanousd=900, priced=True),
        )
        yield made


async def ask(it: Rig, *, tenant: str = "a", text: str = "hello", **options: Any) -> tuple[pb.CompleteResponse, bool]:
    """(the answer, whether it came without reading the request)"""
    request = pb.CompleteRequest(conversation=talk(text), options=pb.RequestOptions(**options))
    call_context.enter(caller(tenant=tenant, request_id=""))
    answer = await it.service.Complete(Unread(request.SerializeToString(), pb.CompleteRequest.FromString), None)
    if isinstance(answer, bytes):
        return pb.CompleteResponse.FromString(answer), True
    return answer, False


def comparable(answer: pb.CompleteResponse) -> pb.CompleteResponse:
    """Without what differs each time."""
    same = pb.CompleteResponse()
    same.CopyFrom(answer)
    same.decision.ClearField("request_id")
    for step in same.decision.steps:
        step.ClearField("latency")
    return same


async def test_the_third_time_a_request_is_not_read_and_its_answer_is_the_same(it: Rig):
    first, read_first = await ask(it)
    again, unread = await ask(it)
    assert (read_first, unread) == (False, True)
    assert comparable(again) == comparable(first)
    assert again.decision.request_id not in ("", first.decision.request_id)
    assert [step.step for step in again.decision.steps] == ["look_up"]
    assert [request.known_entry_id for request in it.cache.looked_up] == ["", "entry-1"]


async def test_it_is_booked_and_counted_like_any_other(it: Rig):
    first, _ = await ask(it)
    again, _ = await ask(it)
    rows = it.ledger.rows
    assert [row["request_id"] for row in rows] == [first.decision.request_id, again.decision.request_id]
    for row in rows:
        for column in ("request_id", "trace_id", "at", "milliseconds", "first_token_milliseconds"):
            del row[column]
    assert rows[0] == rows[1]
    labels = {"strategy": "", "task": "simple_qa", "cache": "exact_hit", "reason": ""}
    assert it.registry.get_sample_value("omnisphere_router_requests_total", labels) == 2
    assert it.registry.get_sample_value("omnisphere_router_cache_savings_nanousd_total") == 1_800


async def test_an_entry_that_is_gone_is_not_served(it: Rig):
    await ask(it)
    it.cache.hit = None
    answer, unread = await ask(it)
    await settle()
    assert not unread
    assert answer.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS
    assert it.providers.asked


async def test_another_tenant_is_not_answered_from_it(it: Rig):
    await ask(it, tenant="a")
    _, unread = await ask(it, tenant="b")
    assert not unread


async def test_a_cache_that_does_not_answer_means_the_long_way(it: Rig):
    await ask(it)
    it.cache.failing = PeerUnavailable(peer="cache")
    answer, unread = await ask(it)
    assert not unread
    assert [lost.kind for lost in answer.decision.degradations] == [chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE]


async def test_new_prices_are_not_hidden_by_it(it: Rig):
    await ask(it)
    it.providers.models = [*it.providers.models, model("new")]
    await it.catalogue._refresh(1.0)
    _, unread = await ask(it)
    assert not unread


async def test_new_policies_are_not_hidden_by_it(it: Rig):
    await ask(it)
    auto = it.policies.current["auto"]
    it.policies.current = {**it.policies.current, "auto": replace(auto, content_hash="another")}
    answer, unread = await ask(it)
    assert (unread, answer.decision.policy_hash) == (False, "another")


async def test_a_request_with_an_id_of_its_own_always_goes_the_long_way(it: Rig):
    for _ in range(3):
        _, unread = await ask(it, request_id="r-1")
        assert not unread


async def test_what_is_remembered_is_bounded(it: Rig):
    for number in range(600):
        await ask(it, text=f"{number} " + "x" * 2_000)
    assert it.hot._bytes <= 1 << 20
    assert 0 < len(it.hot._known) < 600
    assert it.hot._bytes == sum(hot.size for hot in it.hot._known.values())


async def test_bytes_that_are_no_request_are_refused(it: Rig):
    call_context.enter(caller(tenant="a", request_id=""))
    with pytest.raises(InvalidRequest):
        await it.service.Complete(Unread(b"\xff\xff", pb.CompleteRequest.FromString), None)


@given(some.text(max_size=200), some.floats(0, 5))
def test_the_fields_that_differ_are_written_as_the_contract_has_them(request_id, seconds):
    read = pb.CompleteResponse.FromString(_rest(request_id, seconds))
    step = decision_pb2.StepLatency(step="look_up")
    step.latency.nanos = min(int(seconds * 1e9), 999_999_999)
    if read.decision.steps[0].latency.nanos == 0:
        step.latency.SetInParent()
    assert read == pb.CompleteResponse(decision=decision_pb2.Decision(request_id=request_id, steps=[step]))
