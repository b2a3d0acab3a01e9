"""Cascades: answers behind a curtain until somebody has judged them, from cheap to dear, within what it may cost."""

from __future__ import annotations

import asyncio

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ContentFiltered, NoCandidateLeft, ProviderUnavailable, StreamInterrupted
from tests.fakes.peers import answer, attempt, end, failed
from tests.unit.router.samples import FALLBACK, PRIMARY, REFERENCE, Rig, model, rig, settle, talk

POLICY = """
strategy = "cascade"
reference_model = "claude-opus"
models = ["deepseek-v3", "gpt-5-mini", "claude-opus"]
"""
LADDER = [PRIMARY, FALLBACK, REFERENCE]


def options(**more) -> pb.RequestOptions:
    return pb.RequestOptions(inline_policy=POLICY, **more)


def asked(it: Rig) -> list[str]:
    return [generation.model for generation in it.providers.asked]


@pytest.fixture
async def it():
    async with rig() as made:
        for name, text in zip(LADDER, ("cheap", "middle", "dear"), strict=True):
            made.providers.play(name, answer(text, model=name))
        yield made


async def test_a_good_first_answer_is_served_and_no_other_model_is_asked(it):
    it.judge.good = {PRIMARY}
    outcome = await it.ask(options=options())
    assert (outcome.text, asked(it)) == ("cheap", [PRIMARY])
    decision = outcome.decision
    assert (decision.strategy, decision.policy, decision.model) == ("cascade", "inline", PRIMARY)
    assert (decision.escalations, decision.fallbacks) == (0, 0)
    (verdict,) = decision.verdicts
    assert (verdict.model, verdict.accepted, verdict.confidence) == (PRIMARY, True, 0.9)
    assert "judge" in [step.step for step in decision.steps]
    assert [candidate.model for candidate in decision.candidates] == LADDER
    await it.settle_books()
    assert len(it.cache.stored) == 1


async def test_nothing_is_passed_on_before_its_verdict_and_the_last_rung_streams(it):
    it.providers.play(REFERENCE, ["de", "ar", end(REFERENCE)])
    texts: list[str] = []
    outcome = await it.ask(options=options(), seen=lambda event: texts.extend(part.text for part in event.delta.parts))
    assert texts == ["de", "ar"]
    assert outcome.kinds == ["started", "delta", "delta", "end"]
    assert asked(it) == LADDER
    decision = outcome.decision
    assert (decision.escalations, decision.fallbacks, decision.model) == (2, 0, REFERENCE)
    assert [verdict.accepted for verdict in decision.verdicts] == [False, False]
    assert (decision.cost.nanousd, len(decision.attempts)) == (2_100, 3)


async def test_a_rung_that_fails_is_a_fallback_and_not_an_escalation(it):
    it.judge.good = {FALLBACK}
    it.providers.play(PRIMARY, [failed(ProviderUnavailable, PRIMARY, cost=5)])
    outcome = await it.ask(options=options())
    assert (outcome.text, asked(it)) == ("middle", [PRIMARY, FALLBACK])
    assert (outcome.decision.fallbacks, outcome.decision.escalations) == (1, 0)
    assert outcome.decision.cost.nanousd == 705


async def test_where_the_last_rung_fails_the_best_answer_so_far_is_served(it):
    it.providers.play(REFERENCE, [failed(ProviderUnavailable)])
    outcome = await it.ask(options=options())
    assert outcome.error is None
    assert (outcome.text, outcome.decision.model) == ("middle", FALLBACK)
    await it.settle_books()
    assert it.cache.stored == []


async def test_an_answer_of_the_last_rung_that_breaks_off_is_replaced_where_that_may_be(it):
    seen = asyncio.Event()
    it.providers.play(REFERENCE, ["de", seen, failed(StreamInterrupted, cause="stream_truncated")])
    notice = lambda event: seen.set() if event.HasField("delta") else None  # noqa: E731
    outcome = await it.ask(options=options(), restartable=True, seen=notice)
    assert (outcome.text, outcome.error) == ("middle", None)
    assert "restart" in outcome.kinds
    seen.clear()
    broken = await it.ask("again", options=options(), seen=notice)
    assert isinstance(broken.error, StreamInterrupted)


async def test_all_rungs_failing_is_an_error(it):
    for name in LADDER:
        it.providers.play(name, [failed(ProviderUnavailable)])
    outcome = await it.ask(options=options())
    assert isinstance(outcome.error, ProviderUnavailable | NoCandidateLeft)
    assert outcome.decision.model == ""


async def test_a_refusal_for_its_content_goes_nowhere_else(it):
    it.providers.play(PRIMARY, [failed(ContentFiltered)])
    outcome = await it.ask(options=options())
    assert isinstance(outcome.error, ContentFiltered)
    assert asked(it) == [PRIMARY]
    filtered = end(PRIMARY, finish=chat_pb2.FINISH_REASON_CONTENT_FILTER)
    it.providers.play(PRIMARY, ["half", filtered])
    outcome = await it.ask("once more", options=options())
    assert outcome.end.finish_reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
    assert asked(it) == [PRIMARY, PRIMARY]


async def test_what_a_request_may_cost_ends_the_climb(it):
    free = await it.ask("hello", options=options(max_cost_nanousd=100_000_000))
    assert asked(it) == LADDER
    assert free.text == "dear"
    it.providers.asked.clear()
    # The dearest model is out from the start; what is left is a ladder of two.
    cheap = await it.ask("hello again", options=options(max_cost_nanousd=700_000))
    assert asked(it) == [PRIMARY, FALLBACK]
    assert cheap.text == "middle"
    dropped = {candidate.model: candidate.dropped for candidate in cheap.decision.candidates}
    assert dropped[REFERENCE] == 8  # DROPPED_BUDGET
    it.providers.asked.clear()
    # One call leaves too little for a second one.
    it.providers.play(PRIMARY, ["cheap", end(PRIMARY, attempts=[attempt(PRIMARY, cost=650_000)])])
    poor = await it.ask("hello a third time", options=options(max_cost_nanousd=700_000))
    assert asked(it) == [PRIMARY]
    assert (poor.text, poor.error) == ("cheap", None)
    assert (poor.decision.escalations, poor.decision.fallbacks) == (0, 0)


async def test_what_was_cut_and_counted_is_that_of_the_model_whose_answer_is_given(it):
    it.providers.models[0].window_tokens = 16_000
    it.providers.models.append(model("another"))  # so that the catalogue is another one
    await it.catalogue._refresh(1.0)
    for name in (FALLBACK, REFERENCE):
        it.providers.play(name, [failed(ProviderUnavailable, name)])
    outcome = await it.ask(talk(*(f"turn {n} " + "x" * 1_000 for n in range(20))), options=options(), restartable=True)
    await settle()
    assert (asked(it), outcome.decision.model) == (LADDER, PRIMARY)
    assert outcome.decision.context.messages_dropped == 19
    assert [report.count_ref for report in it.context.reported] == [f"counted for {PRIMARY}"]


async def test_without_the_money_for_a_further_model_a_failure_is_the_answer(it):
    it.providers.play(PRIMARY, [failed(ProviderUnavailable, PRIMARY, cost=650_000)])
    poor = await it.ask(options=options(max_cost_nanousd=700_000))
    assert asked(it) == [PRIMARY]
    assert isinstance(poor.error, ProviderUnavailable)
    assert (poor.decision.escalations, poor.decision.fallbacks) == (0, 0)


async def test_who_took_over_is_counted_and_who_was_too_dear_is_not(it):
    it.providers.play(FALLBACK, [failed(ProviderUnavailable, FALLBACK, cost=9_000_000)])
    outcome = await it.ask(options=options(max_cost_nanousd=10_000_000))
    assert asked(it) == [PRIMARY, FALLBACK]
    assert (outcome.text, outcome.decision.escalations, outcome.decision.fallbacks) == ("cheap", 1, 0)


async def test_fast_means_one_model_at_once_and_nothing_is_kept(it):
    it.forecaster.quality = {PRIMARY: 0.9, FALLBACK: 0.7, REFERENCE: 0.9}
    outcome = await it.ask(options=options(), fast=True)
    assert asked(it) == [PRIMARY]
    assert (outcome.decision.strategy, list(outcome.decision.verdicts)) == ("cost_aware", [])
    await it.settle_books()
    assert it.cache.stored == []


async def test_what_rules_find_is_not_learned_for_they_speak_of_bad_answers_alone(it):
    it.judge.good, it.judge.faulty = {FALLBACK}, {PRIMARY}
    outcome = await it.ask(options=options())
    assert [verdict.fault for verdict in outcome.decision.verdicts] == ["empty", ""]
    assert it.forecaster.learned == []
