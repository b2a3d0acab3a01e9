"""One answer, many who wait: everybody reads all of it, at their own pace, and leaves when they like."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import DeadlineExceeded, ProviderRejected, ServiceError, StreamInterrupted
from services.router.flight import Flight, Follower
from tests.fakes.clock import FakeClock
from tests.unit.router.samples import Outcome, settle

CLOCK = FakeClock()


def flight() -> Flight:
    return Flight("leader", b"content", CLOCK)


def follower(
    request_id: str = "leader", *, leads: bool = True, restartable: bool = False, deadline: float | None = None
) -> Follower:
    return Follower(request_id, restartable, deadline, leads)


def say(flight: Flight, text: str) -> None:
    flight.publish_delta([chat_pb2.PartDelta(text=text)])


def done(flight: Flight, error: ServiceError | None = None) -> None:
    cost = chat_pb2.Cost(nanousd=500, priced=True)
    usage = chat_pb2.Usage(output_tokens=7)
    decision = decision_pb2.Decision(request_id="leader", cost=cost, usage=usage)
    flight.end(pb.End(finish_reason=chat_pb2.FINISH_REASON_STOP, cost=cost, usage=usage, decision=decision), error)


async def read(flight: Flight, who: Follower) -> Outcome:
    outcome = Outcome()
    try:
        async with aclosing(flight.follow(who)) as events:
            async for event in events:
                outcome.events.append(event)
    except ServiceError as error:
        outcome.error = error
    return outcome


async def test_a_follower_reads_from_the_first_event_on_also_after_the_end():
    flown = flight()
    early = asyncio.create_task(read(flown, follower()))
    await settle()
    flown.publish_started([])
    say(flown, "a")
    await settle()
    late = asyncio.create_task(read(flown, follower("other", leads=False)))
    say(flown, "b")
    done(flown)
    for outcome in (await early, await late, await read(flown, follower())):
        assert outcome.kinds == ["started", "delta", "delta", "end"]
        assert outcome.text == "ab"
        assert [event.delta.index for event in outcome.events[1:3]] == [0, 1]


async def test_who_joins_sees_their_own_id_no_cost_and_whom_they_joined():
    flown = flight()
    flown.publish_started([])
    done(flown)
    leader = await read(flown, follower())
    joined = await read(flown, follower("other", leads=False))
    assert leader.decision.cost.nanousd == 500
    assert not leader.decision.replayed
    assert joined.events[0].started.request_id == "other"
    assert joined.decision.request_id == "other"
    assert joined.decision.shared_with_request_id == "leader"
    assert (joined.end.cost, joined.decision.cost) == (chat_pb2.Cost(priced=True), chat_pb2.Cost(priced=True))
    assert (joined.end.usage, joined.decision.usage) == (chat_pb2.Usage(), chat_pb2.Usage())
    assert leader.decision.cost.nanousd == 500


async def test_the_same_request_again_is_a_replay_with_its_cost():
    flown = flight()
    done(flown)
    again = await read(flown, follower(leads=False))
    assert again.decision.replayed
    assert again.decision.cost.nanousd == 500
    assert again.decision.shared_with_request_id == ""


async def test_the_error_comes_after_the_end_for_everybody():
    flown = flight()
    done(flown, ProviderRejected(provider="x"))
    for leads in (True, False):
        outcome = await read(flown, follower(leads=leads))
        assert outcome.kinds == ["end"]
        assert isinstance(outcome.error, ProviderRejected)


async def test_the_journey_goes_on_while_anyone_follows_and_is_cancelled_when_the_last_one_leaves():
    flown, gone = flight(), asyncio.Event()

    async def journey(_: Flight) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    flown.depart(journey)
    readers = [asyncio.create_task(read(flown, follower())) for _ in range(3)]
    await settle()
    for reader in readers[:2]:
        reader.cancel()
    await settle()
    assert (flown.running, gone.is_set()) == (True, False)
    readers[2].cancel()
    await settle()
    assert (flown.running, gone.is_set()) == (False, True)


async def test_leaving_after_the_end_cancels_nothing():
    flown, finished = flight(), asyncio.Event()

    async def journey(departed: Flight) -> None:
        done(departed)
        await asyncio.sleep(0)
        finished.set()

    flown.depart(journey)
    await read(flown, follower())
    await settle()
    assert finished.is_set()


async def test_the_callers_deadline_ends_the_wait_with_an_end_and_the_step():
    flown = flight()
    flown.step = "generate"
    flown.publish_started([])
    outcome = await read(flown, follower(deadline=CLOCK.monotonic() + 0.021))
    assert outcome.kinds == ["started", "end"]
    assert outcome.end.finish_reason == chat_pb2.FINISH_REASON_ERROR
    assert isinstance(outcome.error, DeadlineExceeded)
    assert outcome.error.metadata == {"step": "generate"}


async def test_one_who_does_not_wait_for_more_reads_on_after_a_deadline_that_has_passed():
    flown = flight()
    say(flown, "a")
    done(flown)
    assert (await read(flown, follower(deadline=CLOCK.monotonic() - 1))).text == "a"


async def test_a_restart_goes_to_those_who_take_one():
    flown = flight()
    reader = asyncio.create_task(read(flown, follower(restartable=True)))
    await settle()
    say(flown, "void")
    await settle()
    flown.publish_restart("PROVIDER_UNAVAILABLE", 2)
    say(flown, "new")
    done(flown)
    outcome = await reader
    assert outcome.kinds == ["delta", "restart", "delta", "end"]
    assert outcome.text == "new"
    assert [event.delta.index for event in outcome.events if event.HasField("delta")] == [0, 1]


async def test_who_takes_no_restart_gets_an_end_and_stream_interrupted():
    flown = flight()
    reader = asyncio.create_task(read(flown, follower()))
    await settle()
    say(flown, "half")
    await settle()
    flown.publish_restart("PROVIDER_UNAVAILABLE", 2)
    say(flown, "new")
    done(flown)
    outcome = await reader
    assert outcome.kinds == ["delta", "end"]
    assert outcome.end.finish_reason == chat_pb2.FINISH_REASON_ERROR
    assert outcome.decision.request_id == "leader"
    assert isinstance(outcome.error, StreamInterrupted)
    assert outcome.error.metadata == {"cause": "provider_unavailable"}


@pytest.mark.parametrize("restartable", [False, True])
async def test_who_has_seen_nothing_yet_gets_the_new_answer_alone(restartable):
    flown = flight()
    flown.publish_started([])
    say(flown, "void")
    flown.publish_restart("PROVIDER_UNAVAILABLE", 2)
    say(flown, "new")
    done(flown)
    outcome = await read(flown, follower("late", leads=False, restartable=restartable))
    assert outcome.kinds == ["started", "delta", "end"]
    assert outcome.text == "new"
    assert outcome.events[1].delta.index == 0
    assert outcome.error is None


async def test_a_restart_is_possible_while_somebody_would_take_it():
    flown = flight()
    assert not flown.may_restart()
    reader = asyncio.create_task(read(flown, follower()))
    await settle()
    assert flown.may_restart()
    say(flown, "a")
    await settle()
    assert not flown.may_restart()
    second = asyncio.create_task(read(flown, follower(restartable=True)))
    await settle()
    assert flown.may_restart()
    done(flown)
    await reader
    await second


async def test_a_packed_flight_replays_the_same_events_also_to_one_who_is_halfway():
    flown = flight()
    say(flown, "x" * 1_000)
    halfway = flown.follow(follower())
    await anext(halfway)
    done(flown)
    before = await read(flown, follower())
    assert 1_000 < flown.pack() < 1_100
    assert await read(flown, follower()) == before
    rest = [event async for event in halfway]
    assert [event.WhichOneof("event") for event in rest] == ["end"]
