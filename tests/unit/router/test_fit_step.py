"""What the context service is told of a request: before the model is asked, and after it has answered."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest, PeerUnavailable
from tests.unit.router.samples import PRIMARY, admitted, rig, settle, talk

MEMORY = pb.RequestOptions(conversation_id="c-1", memory=pb.MEMORY_AUTO)


async def test_what_the_model_counted_is_reported_behind_the_answer() -> None:
    async with rig() as it:
        assert (await it.ask(_long())).error is None
        await settle()
        assert it.context.asked[0].conversation_id == ""
        (report,) = it.context.reported
        assert report.count_ref == f"counted for {PRIMARY}"
        assert report.usage.input_uncached_tokens > 0
        assert it.context.remembered == []


async def test_a_short_conversation_is_neither_fitted_nor_reported() -> None:
    async with rig() as it:
        assert (await it.ask("short")).error is None
        await settle()
        assert (it.context.asked, it.context.reported) == ([], [])


async def test_with_memory_a_short_one_is_fitted_and_remembered_and_not_cached() -> None:
    async with rig() as it:
        outcome = await it.ask("Where is my boat?", options=MEMORY)
        await settle()
        assert it.context.asked[0].conversation_id == "c-1"
        (remembered,) = it.context.remembered
        assert remembered.conversation_id == "c-1"
        assert [item.text for item in remembered.items] == ["user: Where is my boat?", f"assistant: {outcome.text}"]
        assert all(asked.query.uses_memory for asked in it.cache.looked_up)


async def test_memory_that_is_away_costs_nothing_but_itself() -> None:
    async with rig() as it:
        it.context.failing = PeerUnavailable(peer="context")
        outcome = await it.ask("Where is my boat?", options=MEMORY)
        assert outcome.error is None
        kinds = [said.kind for said in outcome.decision.degradations]
        assert kinds == [chat_pb2.Degradation.KIND_CONTEXT_UNAVAILABLE]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (pb.RequestOptions(memory=pb.MEMORY_AUTO), "options.conversation_id"),
        (pb.RequestOptions(conversation_id="c" * 129), "options.conversation_id"),
        (pb.RequestOptions(memory=9), "options.memory"),  # type: ignore[arg-type]
    ],
)
def test_strange_options_are_refused(options: pb.RequestOptions, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        admitted(options=options)
    assert refused.value.metadata["field"] == field


def test_requests_with_memory_do_not_share_an_answer() -> None:
    assert admitted().shareable
    assert not admitted(options=MEMORY).shareable


def _long() -> chat_pb2.Conversation:
    return talk(*["turn " + "x" * 50_000] * 5)
