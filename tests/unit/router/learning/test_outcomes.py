"""The desk where outcomes come in: who may say what, how often, and that it counts once."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

from services.chassis.errors import InvalidRequest, Overloaded
from services.router.learning.metrics import LearningMetrics
from services.router.learning.outcomes import Answer, Outcomes
from tests.fakes.clock import FakeClock
from tests.fakes.routing import ScriptedForecaster


class Desk:
    def __init__(self):
        self.clock = FakeClock()
        self.learner = ScriptedForecaster()
        metrics = LearningMetrics(CollectorRegistry())
        self.outcomes = Outcomes(self.learner, self.learner.kept.append, key=b"key", clock=self.clock, metrics=metrics)

    def token(self, request_id="r-1", tenant="acme"):
        return self.outcomes.token(Answer(tenant, request_id, "research", "gpt-5", 0.5, b"noted"))


def test_feedback_is_learned_once_with_its_first_score_and_kept():
    desk = Desk()
    token = desk.token()
    desk.outcomes.feedback("acme", token, 0.25)
    desk.outcomes.feedback("acme", token, 1.0)
    (learned,) = desk.learner.learned
    assert (learned.tenant, learned.task_type, learned.model) == ("acme", "research", "gpt-5")
    assert (learned.score, learned.source, learned.propensity, learned.noted) == (0.25, "feedback", 0.5, b"noted")
    assert desk.learner.kept == [learned]


@pytest.mark.parametrize("score", [-0.01, 1.01, math.nan, math.inf])
def test_a_score_outside_is_refused(score):
    desk = Desk()
    with pytest.raises(InvalidRequest) as caught:
        desk.outcomes.feedback("acme", desk.token(), score)
    assert caught.value.metadata["field"] == "score"
    assert desk.learner.learned == []


@pytest.mark.parametrize("case", ["of another tenant", "forged", "empty", "too old"])
def test_a_token_that_is_not_the_callers_is_refused(case):
    desk = Desk()
    token = {"forged": "AAAA" + desk.token()[4:], "empty": ""}.get(case, desk.token())
    if case == "too old":
        desk.clock.advance(8 * 24 * 3600.0)
    with pytest.raises(InvalidRequest) as caught:
        desk.outcomes.feedback("mallory" if case == "of another tenant" else "acme", token, 0.0)
    assert caught.value.metadata["field"] == "feedback_token"
    assert desk.learner.learned == []


def test_a_tenant_has_a_share_per_minute_and_takes_nothing_of_others():
    desk = Desk()
    for number in range(600):
        desk.outcomes.feedback("acme", desk.token(f"r-{number}"), 1.0)
    with pytest.raises(Overloaded) as caught:
        desk.outcomes.feedback("acme", desk.token("r-more"), 1.0)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == pytest.approx(0.1, abs=0.01)
    desk.outcomes.feedback("zeta", desk.token("r-1", tenant="zeta"), 1.0)
    desk.clock.advance(0.11)
    desk.outcomes.feedback("acme", desk.token("r-more"), 1.0)


def test_a_judge_and_a_person_may_both_speak():
    desk = Desk()
    answer = Answer("acme", "r-1", "research", "gpt-5", 1.0, b"")
    desk.outcomes.found(answer, 1.0, "judge")
    desk.outcomes.feedback("acme", desk.outcomes.token(answer), 0.0)
    assert [(each.source, each.score) for each in desk.learner.learned] == [("judge", 1.0), ("feedback", 0.0)]
