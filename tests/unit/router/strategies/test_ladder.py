"""The cascade: what is asked next, what is served, and what an unknown verdict means."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from services.router.judge import Verdict
from services.router.judge.agreement import Answer
from services.router.strategies.cascade import Cascade, Ladder, State, alone

LADDER = Ladder(("cheap", "middle", "dear"), np.array([0.0]), np.array([0.002]), np.array([[-0.2, -9.0, 0.0]]))
START = State(LADDER.models, (1.0, 1.0, 2.0), 1.0, 0.0, 10, np.ones(1), 0.01)
SAID = Answer("42", 5)


@dataclass
class Judge:
    """Says what it is told to say, one verdict after the other."""

    verdicts: list[Verdict | None]

    def verdict(self, asked):
        assert len(asked.priors) == len(asked.answers)
        return self.verdicts[len(asked.answers) - 1]


def steps(*verdicts, rate=1.0):
    cascade, state, found = Cascade(LADDER, Judge(list(verdicts)), rate), START, []
    while True:
        step = cascade.next(state)
        found.append(step)
        if step.ask is None:
            return [(step.ask, step.serve) for step in found]
        state = state.with_answer(SAID)


def test_a_good_first_answer_is_served():
    assert steps(Verdict(0, 0.95, 0.95)) == [(0, None), (None, 0)]


def test_a_poor_one_is_followed_by_the_next_and_the_verdict_says_which_is_served():
    assert steps(Verdict(0, 0.2, 0.9), Verdict(0, 0.9, 0.9)) == [(0, None), (1, None), (None, 0)]


def test_the_last_answer_needs_no_verdict():
    assert steps(Verdict(0, 0.2, 0.9), Verdict(1, 0.3, 0.9)) == [(0, None), (1, None), (2, None), (None, 2)]


def test_no_verdict_never_counts_as_good():
    assert steps(None, None) == [(0, None), (1, None), (2, None), (None, 2)]


def test_the_price_of_asking_on_is_weighed():
    doubtful = Verdict(0, 0.8, 0.85)
    assert steps(doubtful, doubtful, rate=1.0)[-1] == (None, 2)
    assert steps(doubtful, doubtful, rate=6.0) == [(0, None), (None, 0)]


def test_where_nothing_is_foretold_of_the_dear_model_its_prior_counts():
    assert steps(Verdict(0, 0.85), Verdict(0, 0.95), rate=0.0) == [(0, None), (1, None), (None, 0)]


def test_a_hopeless_prompt_is_not_sent_on():
    assert steps(Verdict(0, 0.1, 0.1)) == [(0, None), (None, 0)]


def test_a_ladder_knows_who_walks_it():
    assert LADDER.begins_with(("cheap", "dear"))
    assert LADDER.begins_with(("cheap", "middle", "dear"))
    assert not LADDER.begins_with(("middle", "dear"))
    assert not LADDER.begins_with(("cheap", "middle"))


def test_only_models_that_may_be_asked_stand_beside_the_ladder():
    assert alone(LADDER, np.array([0.0001, 0.002, 0.01]), np.ones(1), 1_000.0, np.array([False, True, True])) is None


@pytest.mark.parametrize(("gain", "found"), [(0.0, None), (-0.1, 2), (-0.3, 2)])
def test_the_ladder_stands_beside_single_models(gain, found):
    ladder = replace(LADDER, gain=np.array([gain]))
    assert alone(ladder, np.array([0.001, 0.002, 0.01]), np.ones(1), 2.0) == found


def test_a_rate_that_loves_money_asks_the_cheap_model_alone():
    assert alone(LADDER, np.array([0.0001, 0.002, 0.01]), np.ones(1), 1_000.0) == 0
