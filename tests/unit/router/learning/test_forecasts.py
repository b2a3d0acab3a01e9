"""The forecaster in use, on the artefact that ships: priors first, then what a tenant says, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omnisphere.model.v1 import model_pb2
from services.router.forecast import Evidence, Question
from services.router.learning.forecasts import MOST_TENANTS, Forecasts
from services.router.learning.outcomes import Outcome
from services.router.quality.artefact import load
from services.router.quality.predictor import Predictor
from tests.unit.router.samples import model

SMALL, BIG = model("little", tier=model_pb2.TIER_SMALL), model("big", tier=model_pb2.TIER_FRONTIER)


@pytest.fixture
def forecasts():
    return Forecasts(Predictor(load()))


def asked(tenant="acme", task="research", prompt="Why did the Roman Republic fall?"):
    return Question(tenant, task, prompt, 10)


def learn(forecasts, score, *, number=30, tenant="acme", made=SMALL):
    for place in range(number):
        forecast = forecasts.predict(asked(tenant), [SMALL, BIG])
        outcome = Outcome(
            tenant, f"r-{place}", "research", made.id, score, "feedback", 0.0, 1.0, forecast.note(made.id)
        )
        forecasts.learn(outcome)


def test_before_any_outcome_the_tier_speaks(forecasts):
    found = forecasts.predict(asked(), [SMALL, BIG]).models
    assert {each.evidence for each in found.values()} == {Evidence.EVIDENCE_PRIOR}
    assert {each.outcomes for each in found.values()} == {0}
    assert 0 < found["little"].quality < found["big"].quality < 1


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_outcomes_move_the_tenant_that_gave_them_and_no_other(forecasts, score):
    before = forecasts.predict(asked(), [SMALL, BIG]).models["little"].quality
    others = forecasts.predict(asked("zeta"), [SMALL, BIG]).models
    learn(forecasts, score)
    after = forecasts.predict(asked(), [SMALL, BIG]).models["little"]
    assert (after.quality > before) == (score == 1.0)
    assert abs(after.quality - score) < 0.3
    assert (after.evidence, after.outcomes) == (Evidence.EVIDENCE_LEARNED, 30)
    assert forecasts.predict(asked("zeta"), [SMALL, BIG]).models == others


def test_counts_are_by_task(forecasts):
    learn(forecasts, 1.0)
    assert forecasts.predict(asked(task="translation"), [SMALL]).models["little"].outcomes == 0


def test_an_outcome_of_another_artefact_is_counted_and_not_learned():
    lost = []
    forecasts = Forecasts(Predictor(load()), unusable=lambda: lost.append(1))
    before = forecasts.predict(asked(), [SMALL]).models
    forecasts.learn(Outcome("acme", "r", "research", "little", 1.0, "feedback", 0.0, 1.0, b"another shape"))
    assert lost == [1]
    assert forecasts.predict(asked(), [SMALL]).models == before


def other_artefact():
    """Of the same shape, and of another meaning."""
    shipped = load()
    return replace(shipped, estimator=replace(shipped.estimator, table=1 - shipped.estimator.table))


def test_with_another_artefact_what_was_learned_and_counted_is_forgotten_together():
    lost = []
    predictor = Predictor(load())
    forecasts = Forecasts(predictor, unusable=lambda: lost.append(1))
    early = forecasts.predict(asked(), [SMALL, BIG])
    learn(forecasts, 1.0)
    predictor.swap(other_artefact())
    assert forecasts.outcomes("acme", "research", "little") == 0
    found = forecasts.predict(asked(), [SMALL, BIG]).models["little"]
    assert (found.evidence, found.outcomes) == (Evidence.EVIDENCE_PRIOR, 0)
    late = Outcome("acme", "late", "research", "little", 1.0, "feedback", 0.0, 1.0, early.note("little"))
    forecasts.learn(late)
    assert (lost, forecasts.outcomes("acme", "research", "little")) == ([1], 0)
    learn(forecasts, 1.0)
    assert forecasts.outcomes("acme", "research", "little") == 30


def test_who_is_forgotten_by_the_predictor_is_not_counted_any_more():
    forecasts = Forecasts(Predictor(load(), most_tenants=MOST_TENANTS))
    for number in range(MOST_TENANTS + 1):
        learn(forecasts, 1.0, number=1, tenant=f"t{number}")
    for tenant, known in (("t0", 0), ("t1", 1)):
        found = forecasts.predict(asked(tenant), [SMALL]).models["little"]
        assert (found.outcomes, found.evidence == Evidence.EVIDENCE_LEARNED) == (known, bool(known))


def test_tasks_that_callers_make_up_are_forgotten_again(forecasts):
    learn(forecasts, 1.0, number=1)
    note = forecasts.predict(asked(), [SMALL]).note("little")
    for number in range(5_000):
        forecasts.answered(f"t{number}", "little", 10)
        forecasts.learn(Outcome("acme", "r", f"t{number}", "little", 1.0, "feedback", 0.0, 1.0, note))
    assert len(forecasts._lengths) < 5_000
    assert (forecasts.outcomes("acme", "t0", "little"), forecasts.outcomes("acme", "t4999", "little")) == (0, 1)


def test_lengths_are_known_after_a_few_answers(forecasts):
    for tokens in (100, 100, 100, 100):
        forecasts.answered("research", "little", tokens)
    assert forecasts.output_tokens("research", "little") is None
    forecasts.answered("research", "little", 200)
    assert forecasts.output_tokens("research", "little") == 120
