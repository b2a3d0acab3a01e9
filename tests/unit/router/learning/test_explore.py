"""Other models asked the same, off the caller's path: which, how often, for how much, and what is learned of it."""

from __future__ import annotations

import pytest

from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import DeadlineExceeded, ProviderUnavailable
from services.router.learning.explore import drawn
from tests.fakes.peers import answer, failed
from tests.unit.router.samples import FALLBACK, PRIMARY, REFERENCE, Rig, rig, talk

OPEN = 'strategy = "cost_aware"\nreference_model = "claude-opus"\nquality_per_usd = 1e9'


def play(it: Rig, primary: str, fallback: str, reference: str) -> None:
    for model, text in ((PRIMARY, primary), (FALLBACK, fallback), (REFERENCE, reference)):
        it.providers.play(model, answer(text, model=model))


async def ask(it: Rig, text: str = "What is 6 times 7?", **more) -> None:
    outcome = await it.ask(text, options=pb.RequestOptions(**more))
    assert outcome.error is None
    await it.shadow.done()


def shadows(it: Rig) -> list[str]:
    return [each.model for each in it.providers.asked if each.purpose == attempt_pb2.PURPOSE_SHADOW]


def learned(it: Rig) -> dict[str, float]:
    return {each.model: each.score for each in it.forecaster.learned if each.source == "shadow"}


async def test_models_of_the_policy_are_asked_and_those_that_agree_are_good():
    async with rig(explore=1.0) as it:
        it.forecaster.quality = {PRIMARY: 0.6, FALLBACK: 0.7, REFERENCE: 0.9}
        play(it, "It is 42.", "42", "41")
        await ask(it, inline_policy=OPEN, region_tags=[])
        served = it.providers.asked[0].model
        assert sorted({served, *shadows(it)}) == sorted([PRIMARY, FALLBACK, REFERENCE])
        scores = learned(it)
        assert scores[PRIMARY] == scores[FALLBACK] > 0.5 > scores[REFERENCE] > 0
        assert it.explored == ["learned"]
        assert {each.propensity for each in it.forecaster.learned} == {1.0}


async def test_the_reference_is_asked_first_and_the_least_known_next():
    async with rig(explore=1.0) as it:
        play(it, "42", "42", "42")
        await ask(it)
        assert shadows(it) == [REFERENCE, FALLBACK]


async def test_a_table_asks_nobody_that_it_does_not_name():
    async with rig(explore=1.0) as it:
        play(it, "42", "42", "42")
        await ask(it, policy="auto")
        named = {PRIMARY, FALLBACK, REFERENCE}  # what savings are compared with may be asked, too
        assert set(shadows(it)) <= named
        assert PRIMARY not in shadows(it)


async def test_the_caller_does_not_wait_and_does_not_pay():
    async with rig(explore=1.0) as it:
        play(it, "42", "42", "42")
        outcome = await it.ask("What is 6 times 7?")
        assert [attempt.model for attempt in outcome.decision.attempts] == [PRIMARY]
        await it.shadow.done()
        assert len(shadows(it)) == 2


@pytest.mark.parametrize("why", ["text that nothing can agree with", "a model of its own", "tools", "share 0"])
async def test_what_teaches_nothing_is_not_asked(why):
    async with rig(explore=0.0 if why == "share 0" else 1.0) as it:
        play(it, "Here is a poem.\n```\ncode\n```", "b", "c") if why.startswith("text") else play(it, "42", "42", "42")
        conversation = talk("What is 6 times 7?")
        if why == "tools":
            conversation.tools.add(name="look", parameters_json="{}")
        outcome = await it.ask(conversation, model=PRIMARY if why == "a model of its own" else "")
        assert outcome.error is None
        await it.shadow.done()
        assert (shadows(it), it.explored) == ([], [])


async def test_without_money_nobody_is_asked_and_a_failure_is_paid_for():
    async with rig(explore=1.0, budget=0) as it:
        play(it, "42", "42", "42")
        await ask(it)
        assert (shadows(it), it.explored) == ([], ["budget"])
    async with rig(explore=1.0, budget=10_000_000) as it:
        play(it, "42", "42", "42")
        it.providers.play(REFERENCE, [failed(ProviderUnavailable, REFERENCE, cost=10_000_000)])
        await ask(it)
        # The first one took it all.
        assert (shadows(it), it.explored) == ([REFERENCE], ["no_answer"])


async def test_a_judge_model_grades_what_nothing_can_agree_with():
    policy = (
        'strategy = "fixed"\nreference_model = "claude-opus"\nmodels = ["deepseek-v3", "gpt-5-mini"]\n'
        'judge = "model"\njudge_model = "claude-opus"'
    )
    async with rig(explore=1.0) as it:
        play(it, "A poem.\n```\nof code\n```", "Another.\n```\nof code\n```", "")
        it.providers.play("claude-opus", answer("7"))
        await ask(it, inline_policy=policy)
        # All of it is booked as work in the shadow: the request itself had no judge.
        assert shadows(it) == [FALLBACK, "claude-opus", "claude-opus"]
        assert it.ledger.rows[0]["cost_nanousd"] == 700
        assert learned(it) == {PRIMARY: 0.7, FALLBACK: 0.7}


async def test_a_judge_of_whom_nothing_is_heard_is_paid_what_was_expected():
    policy = (
        'strategy = "fixed"\nreference_model = "claude-opus"\nmodels = ["deepseek-v3", "gpt-5-mini"]\n'
        'judge = "model"\njudge_model = "claude-opus"'
    )
    async with rig(explore=1.0, budget=20_000_000) as it:
        play(it, "A poem.", "Another.", "")
        it.providers.play("claude-opus", [DeadlineExceeded(step="generate")])
        await ask(it, inline_policy=policy)
        assert (learned(it), it.explored) == ({}, ["unknown"])
        await ask(it, "And of the sea?", inline_policy=policy)
        assert it.explored == ["unknown", "budget"]


async def test_a_fault_is_not_good_whoever_agrees():
    async with rig(explore=1.0) as it:
        play(it, "42", "42", "42")
        it.providers.play(FALLBACK, answer("I'm sorry, but I can't help with that: 42.", model=FALLBACK))
        await ask(it)
        assert learned(it)[FALLBACK] == 0.0


def test_a_share_is_drawn_by_the_request_alone():
    ids = [f"r-{number}" for number in range(4000)]
    found = [drawn(each, 0.25) for each in ids]
    assert found == [drawn(each, 0.25) for each in ids]
    assert 900 < sum(found) < 1100
    assert all(drawn(each, 1.0) for each in ids)
