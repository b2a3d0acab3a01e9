"""The judge of cascades: rules, then what was learned or another model; what cannot be judged is not good."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.errors import ProviderUnavailable
from services.router.cascade_run import Heard
from services.router.execute import Answered
from services.router.forecast import Outlook, Question
from services.router.judging import AnswerJudge
from services.router.plan import Candidate, Facts, Judged, Plan
from services.router.record import Record
from tests.fakes.clock import FakeClock
from tests.fakes.peers import ScriptedProviders, answer, failed
from tests.fakes.routing import AgreementVerifier, ScriptedForecaster
from tests.unit.router.samples import admitted, assistant, model, settle, talk

JUDGE = decision_pb2.Verdict
CHEAP, FAIR, BIG = model("cheap", price="0.1"), model("fair"), model("big", "claude-opus", price="15")
QUALITY = {"cheap": 0.7, "fair": 0.75, "big": 0.9}


class Bench:
    def __init__(self, judge="learned", *, threshold=0.9, rate=0.0, price_usd=None):
        self.providers = ScriptedProviders([CHEAP, FAIR, BIG])
        self.judge = AnswerJudge(self.providers, AgreementVerifier())
        self.record = Record(admitted("What is 6 times 7?"), FakeClock())
        rungs = tuple(Candidate(each, "") for each in (CHEAP, FAIR, BIG))
        self.plan = Plan("cascade", rungs, judged=Judged(rate, threshold, judge, "fair", price_usd))
        forecaster = ScriptedForecaster()
        forecaster.quality = dict(QUALITY)
        models = (CHEAP, FAIR, BIG)
        outlook = Outlook(forecaster, Question("acme", "t", "What is 6 times 7?", 5), models)
        self.facts = Facts("t", models, frozenset(), 100, 100, outlook=outlook)

    async def hear(self, *texts, finish=chat_pb2.FINISH_REASON_STOP):
        answered = [
            (candidate, Answered(assistant(text), finish, candidate.model.id, chat_pb2.Usage(), chat_pb2.Cost()))
            for candidate, text in zip(self.plan.candidates, texts, strict=False)
        ]
        heard = Heard(talk("What is 6 times 7?"), self.plan, self.facts, answered)
        return await self.judge.verdict(heard, self.record, "r-1")


async def test_a_fault_is_never_accepted_and_an_earlier_answer_stays_the_best():
    found, best = await Bench(threshold=0.01).hear("42", "")
    assert (found.judge, found.fault, found.accepted, found.confidence) == (JUDGE.JUDGE_CHECKS, "empty", False, 0.0)
    assert (found.model, best) == ("fair", 0)


async def test_checks_alone_take_what_has_no_fault():
    found, best = await Bench("checks").hear("42")
    assert (found.judge, found.accepted, best) == (JUDGE.JUDGE_CHECKS, True, 0)
    assert found.confidence == pytest.approx(0.7)


async def test_learned_takes_two_that_agree_and_not_one_alone():
    bench = Bench()
    alone, _ = await bench.hear("It is 42.")
    assert (alone.judge, alone.accepted) == (JUDGE.JUDGE_LEARNED, False)
    both, best = await bench.hear("It is 42.", "The answer is 42")
    assert (both.accepted, both.model, best) == (True, "cheap", 0)
    apart, _ = await bench.hear("It is 42.", "It is 43.")
    assert not apart.accepted


async def test_without_a_threshold_the_price_of_the_last_model_decides():
    assert not (await Bench(threshold=0.0, rate=0.0).hear("It is 42."))[0].accepted
    assert (await Bench(threshold=0.0, rate=1e9).hear("It is 42."))[0].accepted


@pytest.mark.parametrize(("reply", "accepted"), [("10", True), ("8", False)])
async def test_a_model_judges_and_its_cost_is_the_requests(reply, accepted):
    bench = Bench("model")
    bench.providers.play("fair", answer(reply, model="fair"))
    found, _ = await bench.hear("It is 42.")
    assert (found.judge, found.accepted, found.confidence) == (JUDGE.JUDGE_MODEL, accepted, int(reply) / 10)
    (asked,) = bench.providers.asked
    assert asked.purpose == attempt_pb2.PURPOSE_JUDGE
    assert "6 times 7" in asked.conversation.messages[1].parts[0].text
    assert bench.record.decision.cost.nanousd == 700


@pytest.mark.parametrize("script", [["I think it is fine"], [failed(ProviderUnavailable, "fair", cost=3)]])
async def test_a_judge_that_fails_or_rambles_is_unknown_and_never_good(script):
    bench = Bench("model", threshold=0.01)
    bench.providers.play("fair", script if not isinstance(script[0], str) else answer(*script, model="fair"))
    found, best = await bench.hear("It is 42.")
    assert (found.judge, found.accepted, found.confidence, best) == (JUDGE.JUDGE_UNKNOWN, False, 0.0, 0)
    assert bench.record.decision.cost.nanousd > 0


async def test_a_judge_whose_verdict_nobody_waits_for_is_not_forgotten_in_the_books():
    bench = Bench("model")
    bench.providers.play("fair", [asyncio.Event()])
    hearing = asyncio.create_task(bench.hear("It is 42."))
    await settle()
    hearing.cancel()
    await asyncio.wait([hearing])
    assert bench.record.unsettled == [bench.providers.asked[0].call_id]


async def test_a_judge_is_asked_only_with_what_the_request_may_still_cost():
    bench = Bench("model")
    bench.facts = replace(bench.facts, max_cost_nanousd=1_000_000)
    bench.record.decision.cost.nanousd = 999_000
    found, _ = await bench.hear("It is 42.")
    assert (found.judge, found.accepted, bench.providers.asked) == (JUDGE.JUDGE_UNKNOWN, False, [])


async def test_a_tool_call_with_sound_arguments_needs_no_judge():
    bench = Bench("model")
    found, _ = await bench.hear("x", finish=chat_pb2.FINISH_REASON_TOOL_CALLS)
    assert (found.judge, found.accepted, bench.providers.asked) == (JUDGE.JUDGE_CHECKS, True, [])


LOOPS = "We add and add and add and add and add it. " * 6 + "It is 42."


async def test_how_an_answer_looks_is_left_to_a_verifier_that_was_trained_on_this_ladder():
    found, _ = await Bench().hear("It is 42.", LOOPS)
    assert (found.fault, found.accepted) == ("repetition", False)
    found, best = await Bench(price_usd=0.01).hear("It is 42.", LOOPS)
    assert (found.judge, found.fault, found.accepted, best) == (JUDGE.JUDGE_LEARNED, "", True, 0)


async def test_what_was_cut_off_or_refused_is_a_fault_on_every_ladder():
    bench = Bench(price_usd=0.01)
    found, _ = await bench.hear("It is 42.", "It is 42.", finish=chat_pb2.FINISH_REASON_LENGTH)
    assert found.fault == "truncated"
    found, _ = await bench.hear("It is 42.", "I'm sorry, but I cannot help with 42.")
    assert found.fault == "refusal"


async def test_the_price_that_training_foretold_goes_before_the_list():
    doubtful = {"threshold": 0.0, "rate": 1.0}
    assert not (await Bench(price_usd=0.0, **doubtful).hear("It is 42."))[0].accepted
    assert (await Bench(price_usd=0.5, **doubtful).hear("It is 42."))[0].accepted
