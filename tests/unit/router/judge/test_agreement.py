"""Which answers say the same, and what that is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.router.judge.agreement import canonical, equal, grouped


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "42.0"),
        (" B ", "b"),
        ("A)", "a"),
        ("(C).", "C"),
        ("1,000", "1000"),
        ("$5", "5.00"),
        ("50%", "50"),
        ("-0.0", "0"),
        ("[1, 2]", "[1, 2] "),
    ],
)
def test_the_same_in_other_letters_is_the_same(one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [("42", "43"), ("A", "B"), ("0.1", "0.2"), ("nan", "1")])
def test_others_stay_apart(one, other):
    assert canonical(one) != canonical(other)


def test_a_missing_answer_equals_itself_alone():
    same, missing = equal([["a", None, None]])
    assert same[0].tolist() == [[True, False, False], [False, True, False], [False, False, True]]
    assert missing[0].tolist() == [False, True, True]


def test_two_that_agree_outweigh_a_better_one_that_does_not():
    same, missing = equal([["x", "y", "y"]])
    group = grouped(np.array([[1.0, 0.5, 0.5]]), same, missing, np.array([4.0]))
    assert group.leader[0] in (1, 2)
    assert group.members[0].tolist() == [False, True, True]
    assert group.different[0] == 2


@given(some.lists(some.sampled_from(["a", "b", "c", None]), min_size=1, max_size=4), some.integers(0, 9))
def test_posteriors_are_probabilities(answers, options):
    same, missing = equal([answers])
    priors = np.linspace(-1, 1, len(answers))[None, :]
    group = grouped(priors, same, missing, np.array([float(options)]))
    assert 0 <= group.second[0] <= group.posterior[0] <= 1
    assert group.members[0][group.leader[0]]


def test_a_lost_answer_leads_only_where_there_is_no_other():
    same, missing = equal([[None, "a"]])
    assert grouped(np.zeros((1, 2)), same, missing, np.zeros(1)).leader[0] == 1
