"""Texts go to the named model and no other; every admitted request is booked once, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.client import MESSAGE_BYTES
from services.chassis.errors import (
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    NoEndpoint,
    PeerUnavailable,
    ProviderRateLimited,
    UnknownModel,
)
from services.router.embed import admit
from tests.fakes.peers import attempt, failed
from tests.unit.router.samples import Rig, caller, fleet, model, rig, settle


@pytest.fixture
async def it() -> AsyncIterator[Rig]:
    async with rig() as made:
        made.providers.models = [*fleet(), model("e-1", "e", can=(model_pb2.CAPABILITY_EMBEDDINGS,))]
        await made.catalogue._refresh(1.0)
        call_context.enter(caller(tenant="acme"))
        yield made


def asked(*texts: str, **more: object) -> pb.EmbedRequest:
    return pb.EmbedRequest(**{"model": "e", "texts": texts or ("hello",)} | more)  # type: ignore[arg-type]


async def test_the_vectors_come_with_model_tokens_and_cost(it: Rig):
    response = await it.service.Embed(asked("a", "bcd", dimensions=7, request_id="r-1"), None)
    assert [list(embedding.values) for embedding in response.embeddings] == [[1.0], [3.0]]
    assert (response.model, response.usage.input_uncached_tokens) == ("e-1", 10)
    assert (response.cost.nanousd, response.cost.priced, response.simulated) == (700, True, False)
    (sent,) = it.providers.embedded
    assert (sent.model, list(sent.texts), sent.dimensions, sent.request_id) == ("e-1", ["a", "bcd"], 7, "r-1")
    assert it.providers.seen[-1].request_id == "r-1"
    assert len(sent.call_id) == 24


async def test_dimensions_that_nobody_asked_for_are_not_sent(it: Rig):
    await it.service.Embed(asked(), None)
    assert not it.providers.embedded[0].HasField("dimensions")


async def test_a_request_is_a_row_that_says_nothing_of_its_texts(it: Rig):
    await it.service.Embed(asked("swordfish", request_id="r-1"), None)
    (row,) = it.ledger.rows
    assert (row["request_id"], row["tenant"], row["strategy"], row["task"]) == ("r-1", "acme", "fixed", "embedding")
    assert (row["model"], row["cost_nanousd"], row["input_uncached"], row["attempts"]) == ("e-1", 700, 10, 1)
    assert (row["error"], row["finish"], row["cache"]) == ("", "", "")
    assert len(str(row["prompt_hash"])) == 16
    assert "swordfish" not in str(row)
    labels = {"strategy": "fixed", "task": "embedding", "cache": "", "reason": ""}
    assert it.registry.get_sample_value("omnisphere_router_requests_total", labels) == 1


async def test_equal_texts_have_equal_hashes_and_their_borders_count(it: Rig):
    for texts in (("ab", "c"), ("ab", "c"), ("a", "bc")):
        await it.service.Embed(asked(*texts), None)
    first, again, other = (row["prompt_hash"] for row in it.ledger.rows)
    assert first == again != other


@pytest.mark.parametrize(
    ("request_", "field", "problem"),
    [
        (asked(model=""), "model", "is not set"),
        (asked(model="x" * 129), "model", "is longer than 128 bytes"),
        (asked(request_id="not an id"), "request_id", "is not 1 to 128 of [A-Za-z0-9_.:-]"),
        (asked(texts=[]), "texts", "is empty"),
        (asked("a", "", "b"), "texts[1]", "is empty"),
        (asked(*["a"] * 2_049), "texts", "is more than 2,048 texts"),
        (asked(dimensions=0), "dimensions", "is less than 1"),
        (asked(dimensions=-5), "dimensions", "is less than 1"),
        (asked(model="gpt-5-mini"), "model", "names a model that makes no vectors"),
    ],
)
async def test_what_can_never_succeed_is_refused_before_it_costs_anything(it: Rig, request_, field, problem):
    with pytest.raises(InvalidRequest) as caught:
        await it.service.Embed(request_, None)
    assert caught.value.metadata == {"field": field, "problem": problem}
    assert it.providers.embedded == []


def test_as_much_as_a_message_holds_is_admitted_and_no_more():
    assert admit(asked("x" * (MESSAGE_BYTES - 64)), caller(), now=0.0).texts
    with pytest.raises(MessageTooLarge):
        admit(asked("x" * MESSAGE_BYTES), caller(), now=0.0)
    with pytest.raises(DeadlineExceeded):
        admit(asked(), caller(deadline=1.0), now=1.0)


def test_the_id_is_the_callers_or_that_of_its_metadata_or_made_here():
    assert admit(asked(request_id="r-1"), caller(request_id="m-1"), now=0.0).request_id == "r-1"
    assert admit(asked(), caller(request_id="m-1"), now=0.0).request_id == "m-1"
    assert admit(asked(), caller(), now=0.0).request_id.startswith("req-")


async def test_a_name_that_nobody_has_is_booked_as_such(it: Rig):
    with pytest.raises(UnknownModel):
        await it.service.Embed(asked(model="gpt-9"), None)
    (row,) = it.ledger.rows
    assert (row["error"], row["model"], row["finish"], row["attempts"]) == ("UNKNOWN_MODEL", "", "error", 0)


async def test_a_failed_attempt_is_booked_and_no_other_model_is_asked(it: Rig):
    failure = failed(ProviderRateLimited, "e-1", cost=0)
    failure.retry_after = timedelta(seconds=7)
    it.providers.embedding = failure
    with pytest.raises(ProviderRateLimited) as caught:
        await it.service.Embed(asked(), None)
    assert (caught.value.retry_after, caught.value.details) == (timedelta(seconds=7), ())
    (row,) = it.ledger.rows
    assert (row["error"], row["attempts"], row["fallbacks"], row["model"]) == ("PROVIDER_RATE_LIMITED", 1, 0, "e-1")
    assert len(it.providers.embedded) == 1


async def test_where_nothing_was_sent_nothing_is_asked_afterwards(it: Rig):
    it.providers.embedding = NoEndpoint(model="e-1")
    with pytest.raises(NoEndpoint):
        await it.service.Embed(asked(), None)
    assert [row["error"] for row in it.ledger.rows] == ["NO_ENDPOINT"]
    assert it.providers.asked_for == []


async def test_what_a_lost_call_cost_is_asked_of_the_providers(it: Rig):
    it.providers.embedding = PeerUnavailable(peer="providers")
    it.providers.booked = [attempt("e-1", cost=40)]
    with pytest.raises(PeerUnavailable):
        await it.service.Embed(asked(), None)
    assert it.ledger.rows == []
    await it.settle_books()
    (row,) = it.ledger.rows
    assert (row["error"], row["cost_nanousd"], row["attempts"]) == ("PEER_UNAVAILABLE", 40, 1)
    assert it.providers.asked_for == [it.providers.embedded[0].call_id]


async def test_a_caller_that_leaves_is_booked_with_what_it_cost(it: Rig):
    it.providers.embedding = asyncio.Event()
    it.providers.booked = [attempt("e-1", cost=40)]
    call = asyncio.create_task(it.service.Embed(asked(request_id="left"), None))
    await settle()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await it.settle_books()
    (row,) = it.ledger.rows
    assert (row["request_id"], row["error"], row["cost_nanousd"]) == ("left", "CANCELLED", 40)


async def test_our_own_mistake_is_booked_as_ours(it: Rig):
    it.providers.embedding = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await it.service.Embed(asked(), None)
    await it.settle_books()
    assert [row["error"] for row in it.ledger.rows] == ["INTERNAL"]


async def test_a_request_is_never_changed(it: Rig):
    request = asked("a", "b")
    before = request.SerializeToString(deterministic=True)
    await it.service.Embed(request, None)
    assert request.SerializeToString(deterministic=True) == before


async def test_a_conversation_with_a_model_that_makes_vectors_is_refused(it: Rig):
    outcome = await it.ask(model="e")
    assert isinstance(outcome.error, InvalidRequest)
    assert outcome.error.metadata == {"field": "model", "problem": "names a model that answers no conversation"}
    assert (await it.ask()).error is None
    assert {generation.model for generation in it.providers.asked}.isdisjoint({"e-1"})
