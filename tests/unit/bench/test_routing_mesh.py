"""What bench.routing.mesh makes of two lists of ways, against figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("lightgbm")

from bench.routing.mesh import Walked, compared, counted, figures, seen
from bench.score_routing import Truth
from services.training.outcomes import Outcomes

TRUTH = Truth(
    ("1", "2"), ("cheap", "dear"), np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.01, 0.1], [0.02, 0.2]]), 1
)
STAYS = [Walked(("cheap",), "cheap", 0.01), Walked(("cheap", "dear"), "dear", 0.22)]
FALLS = [STAYS[0], Walked(("cheap",), "cheap", 0.02)]


def test_quality_is_that_of_the_model_that_answered_and_every_call_is_paid():
    found = figures(STAYS, TRUTH)
    assert (found["quality"], found["calls"]) == (1.0, 3)
    assert found["usd_per_1000"] == pytest.approx(115.0)
    assert found["saving"] == pytest.approx(1 - 0.23 / 0.3)


def test_how_far_two_are_apart_is_relative():
    found = compared(FALLS, STAYS, TRUTH)
    assert found["apart"]["quality"] == pytest.approx(-0.5)
    assert found["apart"]["usd_per_1000"] == pytest.approx(0.03 / 0.23 - 1)
    assert found["another_way"].total() == 1
    assert compared(STAYS, STAYS, TRUTH)["apart"] == {"quality": 0.0, "usd_per_1000": 0.0}


def test_only_what_a_router_can_know_is_learned_from():
    given = Outcomes(
        ("1",),
        ("Why? " * 20,),
        ("t",),
        np.array([999.0]),
        ("a", "b"),
        np.array([[1.0, 0.0]]),
        np.array([[0.1, 0.2]]),
        (("x", "y"),),
        np.array([[3.0, 4.0]]),
    )
    found = seen(given, ["b"])
    assert (found.models, found.answers, found.in_tokens.tolist()) == (("b",), (("y",),), [25.0])
    assert found.out_tokens is not None
    assert (found.quality.tolist(), found.usd.tolist(), found.out_tokens.tolist()) == ([[0.0]], [[0.2]], [[4.0]])
    assert counted("ü") == 1
