"""The same request is one journey: while it is on its way by content, for ten minutes by its id."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest, ProviderRejected
from services.router.admit import shareable
from services.router.flight import Flight
from services.router.single_flight import Flights
from tests.fakes.clock import FakeClock
from tests.fakes.peers import answer
from tests.unit.router.samples import PRIMARY, admitted, rig, settle, talk


def with_id(request_id: str) -> pb.RequestOptions:
    return pb.RequestOptions(request_id=request_id)


async def test_a_hundred_same_requests_are_one_journey_and_only_the_leader_pays():
    gate = asyncio.Event()
    async with rig() as it:
        it.providers.play(PRIMARY, ["one ", gate, *answer("answer", model=PRIMARY)])
        asked = [it.ask(stream=n % 2 == 0) for n in range(50)]
        await settle()
        asked += [it.ask(stream=n % 2 == 0) for n in range(50)]
        await settle()
        gate.set()
        outcomes = [await task for task in asked]
    assert len(it.providers.asked) == 1
    assert {outcome.text for outcome in outcomes} == {"one answer"}
    leaders = [outcome.decision for outcome in outcomes if not outcome.decision.shared_with_request_id]
    assert len(leaders) == 1
    assert leaders[0].cost.nanousd == 700
    assert {o.decision.shared_with_request_id for o in outcomes} == {"", leaders[0].request_id}
    assert sum(outcome.end.cost.nanousd for outcome in outcomes) == 700
    assert len({outcome.decision.request_id for outcome in outcomes}) == 100
    assert it.registry.get_sample_value("omnisphere_router_joined_requests_total", {"by": "content"}) == 99


async def test_other_tenants_other_models_and_sampled_requests_do_not_join():
    gate = asyncio.Event()
    sampled = talk("hello")
    sampled.sampling.temperature = 0.9
    async with rig() as it:
        for model in (PRIMARY, "gpt-5-mini"):
            it.providers.play(model, [gate, *answer("x", model=model)])
        asked = [it.ask(), it.ask(tenant="other"), it.ask(model=PRIMARY), it.ask("hallo")]
        asked += [it.ask(sampled), it.ask(sampled)]
        await settle()
        gate.set()
        for task in asked:
            assert (await task).decision.shared_with_request_id == ""
    assert len(it.providers.asked) == 6


async def test_the_same_id_replays_for_ten_minutes_and_then_asks_again():
    async with rig() as it:
        first = await it.ask(options=with_id("r-1"))
        it.clock.advance(599)
        again = await it.ask(options=with_id("r-1"), stream=False)
        assert again.text == first.text
        assert again.decision.replayed
        assert again.decision.cost == first.decision.cost
        assert len(it.providers.asked) == 1
        it.clock.advance(2)
        assert not (await it.ask(options=with_id("r-1"))).decision.replayed
        assert len(it.providers.asked) == 2


async def test_the_id_of_a_request_that_joined_another_one_replays_too():
    gate = asyncio.Event()
    async with rig() as it:
        it.providers.play(PRIMARY, [gate, *answer("x", model=PRIMARY)])
        leader, joined = it.ask(options=with_id("r-1")), it.ask(options=with_id("r-2"))
        await settle()
        gate.set()
        assert (await leader).text == (await joined).text == "x"
        again = await it.ask(options=with_id("r-2"))
        assert again.decision.request_id == "r-2"
        assert again.decision.shared_with_request_id == "r-1"
        with pytest.raises(InvalidRequest):
            raise (await it.ask("something else", options=with_id("r-2"))).error or AssertionError
    assert len(it.providers.asked) == 1


async def test_an_id_of_another_tenant_is_another_id():
    async with rig() as it:
        await it.ask(options=with_id("r-1"))
        other = await it.ask("something else", options=with_id("r-1"), tenant="other")
    assert other.error is None
    assert len(it.providers.asked) == 2


async def test_an_id_with_other_content_is_refused_before_and_after_the_first_answer():
    gate = asyncio.Event()
    async with rig() as it:
        it.providers.play(PRIMARY, [gate, *answer("x", model=PRIMARY)])
        first = it.ask(options=with_id("r-1"))
        await settle()
        during = await it.ask("something else", options=with_id("r-1"))
        gate.set()
        await first
        after = await it.ask("something else", options=with_id("r-1"))
    for outcome in (during, after):
        assert isinstance(outcome.error, InvalidRequest)
        assert outcome.error.metadata["field"] == "options.request_id"


async def test_a_failed_answer_is_not_replayed():
    async with rig() as it:
        it.providers.play(PRIMARY, [ProviderRejected(provider="x")], answer("better", model=PRIMARY))
        assert isinstance((await it.ask(options=with_id("r-1"))).error, ProviderRejected)
        assert (await it.ask(options=with_id("r-1"))).text == "better"


async def test_the_journey_ends_when_the_last_one_leaves():
    async with rig() as it:
        it.providers.play(PRIMARY, ["a", asyncio.Event()])
        asked = [it.ask(options=with_id(f"r-{n}")) for n in range(3)]
        await settle()
        asked[0].cancel()
        asked[1].cancel()
        await settle()
        assert it.providers.hung_up == 0
        asked[2].cancel()
        await settle()
        assert it.providers.hung_up == 1
        await it.settle_books()
        assert it.ledger.rows[0]["error"] == "CANCELLED"


@pytest.mark.parametrize("request_id", ["", "r-1"])
async def test_a_flight_that_was_given_up_is_not_joined(request_id):
    async with rig() as it:
        it.providers.play(PRIMARY, ["a", asyncio.Event()], answer("whole", model=PRIMARY))
        hung_up = it.providers.slow_to_hang_up = asyncio.Event()
        given_up = it.ask(options=with_id(request_id))
        await settle()
        given_up.cancel()
        await settle()
        assert (await asyncio.wait_for(it.ask(options=with_id(request_id)), 1)).text == "whole"
        hung_up.set()
        await settle()
        replayed = bool(request_id)
        assert (await it.ask(options=with_id(request_id))).decision.replayed == replayed


async def test_what_is_remembered_is_bounded_in_bytes():
    async with rig(remember_bytes=10_000) as it:
        it.providers.play(PRIMARY, answer("x" * 3_000, model=PRIMARY))
        for n in range(10):
            await it.ask(options=with_id(f"r-{n}"))
        assert not (await it.ask(options=with_id("r-0"))).decision.replayed
        assert (await it.ask(options=with_id("r-9"))).decision.replayed


async def test_an_answer_larger_than_the_memory_is_not_remembered():
    async with rig(remember_bytes=1_000) as it:
        it.providers.play(PRIMARY, answer("x" * 3_000, model=PRIMARY))
        for _ in range(2):
            assert not (await it.ask(options=with_id("r-0"))).decision.replayed


def test_the_number_of_remembered_ids_is_bounded():
    clock = FakeClock()
    flights = Flights(remember_for=timedelta(minutes=10), most_bytes=1 << 30)
    first = admitted(options=with_id("r-0"))
    for n in range(10_001):
        ask = admitted(options=with_id(f"r-{n}"))
        flight = Flight(ask.request_id, ask.content, clock)
        flights.add(ask, flight)
        flight.end(pb.End())
        flights.landed(ask, flight)
    assert flights.find(first, clock.monotonic()) is None
    assert flights.find(admitted(options=with_id("r-1")), clock.monotonic()) is not None


async def test_nothing_is_kept_of_requests_without_an_id():
    async with rig() as it:
        await it.ask()
        await it.ask()
    assert len(it.providers.asked) == 2


@pytest.mark.parametrize(
    ("temperature", "control", "shared"),
    [
        (None, {}, True),
        (0.3, {}, True),
        (0.31, {}, False),
        (0.9, {"allow_sampled": True}, True),
        (None, {"no_cache": True}, False),
        (None, {"no_store": True}, False),
    ],
)
def test_what_may_be_shared(temperature, control, shared):
    conversation = talk("hello")
    if temperature is not None:
        conversation.sampling.CopyFrom(chat_pb2.Sampling(temperature=temperature))
    options = pb.RequestOptions(cache=cache_pb.CacheControl(**control))
    assert shareable(conversation, options) is shared
