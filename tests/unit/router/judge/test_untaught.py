"""Bayes' rule over answers that may say the same."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.judge.agreement import Answer, Asked
from services.router.judge.untaught import by_agreement


def asked(answers: list[str | None], good: list[float], options: float = 0.0) -> Asked:
    odds = [log(p / (1 - p)) for p in good]
    tasks = np.zeros(0)
    models = [str(place) for place in range(len(odds) + 1)]
    return Asked(models, odds, [Answer(text, 1) for text in answers], 0.0, 0.0, options, 10, tasks)


def test_one_answer_is_as_good_as_its_model():
    assert by_agreement(asked(["a"], [0.7])).good == pytest.approx(0.7)


def test_agreement_raises_and_disagreement_lowers():
    agreed = by_agreement(asked(["a", "A"], [0.7, 0.6]))
    apart = by_agreement(asked(["a", "b"], [0.7, 0.6]))
    assert agreed.good > 0.95
    assert apart.served == 0
    assert apart.good < 0.7


def test_the_majority_is_served_at_its_first_place():
    verdict = by_agreement(asked(["a", "b", "b"], [0.6, 0.6, 0.6]))
    assert verdict.served == 1


def test_without_a_short_form_the_newest_model_speaks_for_itself():
    verdict = by_agreement(asked(["a", None], [0.9, 0.55]))
    assert verdict.served == 1
    assert verdict.good == pytest.approx(0.55)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3), st.data())
def test_it_is_the_posterior_of_the_whole_table(said, data):
    """Against the sum over every truth and every way to be wrong, of four options."""
    good = [data.draw(st.floats(0.05, 0.95)) for _ in said]
    weight = {}
    for truth in "abcd":
        weight[truth] = 1.0
        for one, p in zip(said, good, strict=True):
            weight[truth] *= p if one == truth else (1 - p) / 3
    verdict = by_agreement(asked(list(said), good, options=4.0))
    best = max(set(said), key=lambda one: weight[one])
    assert verdict.good == pytest.approx(weight[best] / sum(weight.values()))
    assert weight[said[verdict.served]] == pytest.approx(weight[best])
