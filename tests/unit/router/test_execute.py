"""The plan, candidate by candidate: what a fallback hides, what it may not hide, and that every attempt is booked."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import (
    ContentFiltered,
    ContextTooLong,
    DeadlineExceeded,
    InvalidRequest,
    NoCandidateLeft,
    NoEndpoint,
    PeerUnavailable,
    ProviderAuth,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    StreamInterrupted,
    UnknownModel,
)
from services.router.execute import Executor
from services.router.fit_step import FitStep
from services.router.flight import Flight, Follower
from services.router.guard import Guard
from services.router.plan import Candidate, Facts, Plan
from services.router.record import Record
from tests.fakes.clock import FakeClock
from tests.fakes.peers import ScriptedContext, ScriptedProviders, answer, attempt, end, failed
from tests.unit.router.samples import (
    FALLBACK,
    PRIMARY,
    admitted,
    model,
    rig,
    settle,
    talk,
    user,
)

TRY_ANOTHER = [NoEndpoint, ProviderAuth, ProviderRateLimited, ProviderUnavailable, StreamInterrupted, UnknownModel]


async def test_after_a_failure_that_cost_something_only_what_is_left_is_spent():
    async with rig() as it:
        it.providers.play(PRIMARY, [failed(ProviderUnavailable, PRIMARY, cost=650_000)])
        poor = await it.ask(options=pb.RequestOptions(max_cost_nanousd=700_000))
        assert [each.model for each in it.providers.asked] == [PRIMARY]
        assert (type(poor.error), poor.decision.fallbacks) == (ProviderUnavailable, 0)
        rich = await it.ask(options=pb.RequestOptions(max_cost_nanousd=1_500_000))
    assert (rich.error, rich.decision.model, rich.decision.fallbacks) == (None, FALLBACK, 1)


async def test_after_words_that_cost_something_no_restart_is_paid_for_with_what_is_not_there():
    async with rig() as it:
        it.providers.play(PRIMARY, ["half", failed(StreamInterrupted, PRIMARY, cost=650_000)])
        poor = await it.ask(options=pb.RequestOptions(max_cost_nanousd=700_000), restartable=True)
        assert poor.kinds == ["started", "delta", "end"]
        assert isinstance(poor.error, StreamInterrupted)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", TRY_ANOTHER)
async def test_a_fallback_before_the_first_words_is_invisible(kind, stream):
    async with rig() as it:
        it.providers.play(PRIMARY, [failed(kind, PRIMARY, cost=40)])
        it.providers.play(FALLBACK, answer("here", model=FALLBACK))
        outcome = await it.ask(stream=stream)
    assert outcome.kinds == ["started", "delta", "end"]
    assert (outcome.text, outcome.error) == ("here", None)
    decision = outcome.decision
    assert (decision.model, decision.fallbacks, decision.cost.nanousd) == (FALLBACK, 1, 740)
    assert [(a.number, a.model, a.error_reason) for a in decision.attempts] == [
        (1, PRIMARY, kind.reason()),
        (2, FALLBACK, ""),
    ]
    assert decision.usage == chat_pb2.Usage(input_uncached_tokens=20, output_tokens=10)


@pytest.mark.parametrize("kind", [ContentFiltered, ProviderRejected, DeadlineExceeded, PeerUnavailable])
async def test_what_another_model_would_not_mend_is_not_tried_elsewhere(kind):
    async with rig() as it:
        it.providers.play(PRIMARY, [failed(kind, PRIMARY, cost=40)])
        outcome = await it.ask()
    assert isinstance(outcome.error, kind)
    assert outcome.kinds == ["started", "end"]
    assert len(it.providers.asked) == 1
    assert (outcome.decision.fallbacks, outcome.decision.cost.nanousd, outcome.decision.model) == (0, 40, "")


async def test_after_words_that_were_read_a_failure_is_stream_interrupted():
    gate = asyncio.Event()
    async with rig() as it:
        it.providers.play(PRIMARY, ["half", gate, failed(StreamInterrupted, PRIMARY, cost=40, cause="reset")])
        asked = it.ask()
        await settle()
        gate.set()
        outcome = await asked
    assert outcome.kinds == ["started", "delta", "end"]
    assert outcome.end.finish_reason == chat_pb2.FINISH_REASON_ERROR
    assert isinstance(outcome.error, StreamInterrupted)
    assert outcome.error.metadata == {"cause": "reset"}
    assert len(it.providers.asked) == 1
    assert outcome.decision.cost.nanousd == 40


async def test_words_that_nobody_read_yet_are_replaced_without_a_trace():
    async with rig() as it:
        it.providers.play(PRIMARY, ["half", failed(StreamInterrupted, PRIMARY, cost=40, cause="reset")])
        it.providers.play(FALLBACK, answer("whole", model=FALLBACK))
        outcome = await it.ask()
    assert (outcome.kinds, outcome.text, outcome.error) == (["started", "delta", "end"], "whole", None)
    assert outcome.decision.cost.nanousd == 740


async def test_after_the_first_words_a_restart_brings_the_whole_answer_to_those_who_take_one():
    gate = asyncio.Event()
    async with rig() as it:
        it.providers.play(PRIMARY, ["half", gate, failed(StreamInterrupted, PRIMARY, cost=40, cause="reset")])
        it.providers.play(FALLBACK, answer("the ", "whole", model=FALLBACK))
        asked = it.ask(restartable=True)
        await settle()
        gate.set()
        outcome = await asked
    assert outcome.kinds == ["started", "delta", "restart", "delta", "delta", "end"]
    assert outcome.text == "the whole"
    restart = outcome.events[2].restart
    assert (restart.reason, restart.attempt) == ("STREAM_INTERRUPTED", 2)
    assert [event.delta.index for event in outcome.events if event.HasField("delta")] == [0, 1, 2]
    assert outcome.decision.cost.nanousd == 740


async def test_a_stream_without_an_end_is_no_answer():
    async with rig() as it:
        it.providers.play(PRIMARY, ["half"])
        outcome = await it.ask(PRIMARY, model=PRIMARY)
    assert isinstance(outcome.error, StreamInterrupted)
    assert outcome.error.metadata["cause"] == "stream_truncated"


async def test_when_nobody_is_left_all_are_named_with_the_shortest_wait():
    async with rig() as it:
        limited = failed(ProviderRateLimited, PRIMARY, provider="a")
        limited.retry_after = timedelta(seconds=7)
        away = failed(ProviderUnavailable, FALLBACK, cost=3, provider="b")
        away.retry_after = timedelta(seconds=3)
        it.providers.play(PRIMARY, [limited])
        it.providers.play(FALLBACK, [away])
        outcome = await it.ask()
    assert isinstance(outcome.error, NoCandidateLeft)
    assert outcome.error.metadata == {
        "attempts": f"{PRIMARY}:PROVIDER_RATE_LIMITED,{FALLBACK}:PROVIDER_UNAVAILABLE",
    }
    assert outcome.error.retry_after == timedelta(seconds=3)
    assert [a.error_reason for a in outcome.decision.attempts] == ["PROVIDER_RATE_LIMITED", "PROVIDER_UNAVAILABLE"]
    assert (outcome.decision.cost.nanousd, outcome.decision.fallbacks) == (3, 1)


async def test_the_only_model_fails_with_its_own_error_and_without_the_book_keeping():
    async with rig() as it:
        it.providers.play(PRIMARY, [failed(ProviderRateLimited, PRIMARY, provider="a")])
        outcome = await it.ask(model=PRIMARY)
    assert isinstance(outcome.error, ProviderRateLimited)
    assert outcome.error.metadata == {"provider": "a"}
    assert outcome.error.details == ()
    assert len(outcome.decision.attempts) == 1


async def test_an_unpriced_attempt_makes_the_sum_unpriced():
    async with rig() as it:
        it.providers.play(PRIMARY, ["x", end(attempts=[attempt(PRIMARY, cost=0, priced=False)])])
        outcome = await it.ask()
    assert not outcome.decision.cost.priced
    assert not outcome.end.cost.priced


async def test_every_attempt_of_a_model_that_was_retried_is_booked():
    tries = [attempt(PRIMARY, cost=1, reason="PROVIDER_UNAVAILABLE"), attempt(PRIMARY, cost=2)]
    async with rig() as it:
        it.providers.play(PRIMARY, ["x", end(attempts=tries)])
        outcome = await it.ask()
    assert [(a.number, a.cost.nanousd) for a in outcome.decision.attempts] == [(1, 1), (2, 2)]
    assert outcome.decision.cost.nanousd == 3
    assert outcome.decision.fallbacks == 0


class Direct:
    """An executor and what it needs, for plans that no policy makes."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.providers, self.context = ScriptedProviders(), ScriptedContext()
        ask = admitted()
        self.flight, self.record = Flight(ask.request_id, ask.content, clock), Record(ask, clock)
        fit = FitStep(self.context, Guard(), clock, timeout=1)
        self.facts = Facts("t", (), frozenset(), 100, 100)
        self.executor = Executor(fit=fit, providers=self.providers, deadline=9)

    async def run(self, conversation: chat_pb2.Conversation, **windows: int) -> str:
        return await self.follow(Plan("rule", _candidates(**windows)), conversation)

    async def follow(self, plan: Plan, conversation: chat_pb2.Conversation) -> str:
        answered = await self.executor.run(plan, self.facts, conversation, self.flight, self.record, stream=True)
        return answered.model

    @property
    def asked(self) -> list[str]:
        return [generation.model for generation in self.providers.asked]


def _candidates(**windows: int) -> tuple[Candidate, ...]:
    return tuple(Candidate(model(name, window=window), "") for name, window in windows.items())


async def test_after_context_too_long_only_a_larger_window_is_asked():
    it = Direct()
    for name in ("small", "same", "large"):
        it.providers.play(name, [failed(ContextTooLong, name)] if name != "large" else answer("fits", model=name))
    assert await it.run(talk("x"), small=8_000, same=8_000, large=9_000) == "large"
    assert it.asked == ["small", "large"]
    assert it.record.decision.fallbacks == 1


async def test_a_larger_window_that_failed_otherwise_rules_nobody_out():
    it = Direct()
    it.providers.play("busy", [failed(ProviderRateLimited, "busy")])
    it.providers.play("small", [failed(ContextTooLong, "small")])
    assert await it.run(talk("x"), busy=200_000, small=8_000, large=100_000) == "large"


async def test_too_long_is_remembered_over_another_models_failure():
    it = Direct()
    it.providers.play("small", [failed(ContextTooLong, "small")])
    it.providers.play("busy", [failed(ProviderRateLimited, "busy")])
    with pytest.raises(NoCandidateLeft) as caught:
        await it.run(talk("x"), small=8_000, busy=200_000, same=8_000)
    assert caught.value.metadata["attempts"] == "small:CONTEXT_TOO_LONG,busy:PROVIDER_RATE_LIMITED"
    assert it.asked == ["small", "busy"]


async def test_the_larger_window_of_a_plan_is_asked_only_after_context_too_long():
    (small, busy), (large,) = _candidates(small=8_000, busy=8_000), _candidates(large=90_000)
    it = Direct()
    it.providers.play("small", [failed(ContextTooLong, "small")])
    assert await it.follow(Plan("rule", (small, busy), larger_window=large), talk("x")) == "large"
    assert it.asked == ["small", "large"]
    other = Direct()
    for name in ("small", "busy"):
        other.providers.play(name, [failed(ProviderUnavailable, name)])
    with pytest.raises(NoCandidateLeft):
        await other.follow(Plan("rule", (small, busy), larger_window=large), talk("x"))
    assert other.asked == ["small", "busy"]


@pytest.mark.parametrize(("goes_on", "asked"), [(False, ["a"]), (True, ["a", "b"])])
async def test_a_filtered_request_goes_on_only_where_the_policy_says_so(goes_on, asked):
    it = Direct()
    it.providers.play("a", [failed(ContentFiltered, "a")])
    plan = Plan("rule", _candidates(a=8_000, b=8_000), filtered_goes_on=goes_on)
    if goes_on:
        assert await it.follow(plan, talk("x")) == "b"
    else:
        with pytest.raises(ContentFiltered):
            await it.follow(plan, talk("x"))
    assert it.asked == asked


@pytest.mark.parametrize(("endpoints", "asked"), [(("eu", "us"), ["m", "m"]), (("eu",), ["m", "b"])])
async def test_after_the_first_words_the_same_model_goes_on_at_another_endpoint(endpoints, asked):
    it = Direct()
    interrupted = failed(StreamInterrupted, "m")
    (detail,) = interrupted.details
    assert isinstance(detail, attempt_pb2.AttemptsFailed)
    detail.attempts[0].endpoint = "eu"
    it.providers.play("m", ["half", interrupted], answer("whole", model="m"))
    it.flight._followers.add(Follower("r", restartable=True, deadline=None, leads=True))
    first, second = _candidates(m=8_000, b=8_000)
    del first.model.endpoints[:]
    first.model.endpoints.extend(
        model_pb2.Endpoint(name=name, state=model_pb2.Endpoint.STATE_READY) for name in endpoints
    )
    assert await it.follow(Plan("rule", (first, second)), talk("x")) == asked[-1]
    assert it.asked == asked
    assert list(it.providers.asked[1].avoid_endpoints) == (["eu"] if asked[-1] == "m" else [])
    assert it.record.decision.fallbacks == asked.count("b")


LONG = talk(*(user(f"turn {n} " + "x" * 500) for n in range(20)))


async def test_a_short_conversation_never_visits_the_context_service():
    it = Direct()
    await it.run(talk("short"), m=8_000)
    assert it.context.asked == []


async def test_a_long_conversation_is_fitted_to_the_model_that_is_asked():
    it = Direct()
    await it.run(LONG, m=8_000)
    request = it.context.asked[0]
    assert (request.model, request.window_tokens, request.reserved_output_tokens) == ("m", 8_000, 2_000)
    assert list(it.providers.asked[0].conversation.messages) == [LONG.messages[-1]]
    assert len(LONG.messages) == 20
    context = it.record.decision.context
    assert (context.tokens_before, context.tokens_after, context.messages_dropped) == (2_000, 100, 19)


async def test_what_was_cut_is_that_for_the_model_that_answered():
    it = Direct()
    it.providers.play("small", [failed(ProviderUnavailable, "small")])
    await it.run(LONG, small=8_000, large=100_000)
    assert len(it.providers.asked[1].conversation.messages) == 20
    assert not it.record.decision.HasField("context")


async def test_without_the_context_service_the_conversation_goes_uncut_and_the_answer_says_so_once():
    it = Direct()
    it.context.failing = PeerUnavailable(peer="context")
    it.providers.play("a", [failed(ProviderUnavailable, "a")])
    assert await it.run(LONG, a=8_000, b=8_000) == "b"
    assert len(it.providers.asked[0].conversation.messages) == 20
    assert [(d.kind, d.subject) for d in it.record.decision.degradations] == [
        (chat_pb2.Degradation.KIND_CONTEXT_UNAVAILABLE, "context")
    ]


async def test_a_context_service_that_is_away_is_left_alone_after_three_failures():
    it = Direct()
    it.context.failing = PeerUnavailable(peer="context")
    for _ in range(5):
        await it.run(LONG, m=8_000)
    assert len(it.context.asked) == 3


async def test_what_cannot_be_cut_goes_to_a_larger_window_or_fails_with_its_reason():
    it = Direct()
    it.context.failing = ContextTooLong(tokens="9000", window="8000", model="m")
    assert await it.run(LONG, m=8_000, large=100_000) == "large"
    with pytest.raises(ContextTooLong) as caught:
        await it.run(LONG, m=8_000)
    assert caught.value.metadata == {"tokens": "9000", "window": "8000", "model": "m"}


async def test_a_request_that_the_context_service_refuses_is_refused():
    it = Direct()
    it.context.failing = InvalidRequest(field="conversation", problem="is odd")
    with pytest.raises(InvalidRequest):
        await it.run(LONG, m=8_000)
    assert it.asked == []
