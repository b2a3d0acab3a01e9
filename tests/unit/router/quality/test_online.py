"""What outcomes teach one at a time: the streaming ridge, the moving tables, and the learner of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.router.quality.learner import Learner
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import MEMORY, SHRINKAGE, MovingTable

NOTHING = np.zeros(0)


@given(some.integers(0, 10_000), some.integers(1, 6), some.integers(1, 40), some.floats(0.1, 50))
def test_streaming_equals_batch(seed, width, number, penalty):
    chance = np.random.default_rng(seed)
    rows, targets = chance.normal(size=(number, width)), chance.normal(size=number)
    ridge = StreamingRidge(width, penalty)
    for row, target in zip(rows, targets, strict=True):
        ridge.learn(row, float(target))
    batch = np.linalg.solve(rows.T @ rows + penalty * np.eye(width), rows.T @ targets)
    asked = chance.normal(size=width)
    assert ridge.predict(asked) == pytest.approx(float(batch @ asked), abs=1e-6)
    assert StreamingRidge.restored(ridge.state(), width).predict(asked) == pytest.approx(ridge.predict(asked))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_ridge_refuses_what_is_no_number(bad):
    ridge = StreamingRidge(2, 1.0)
    with pytest.raises(ValueError, match="not finite"):
        ridge.learn(np.array([1.0, bad]), 0.0)
    with pytest.raises(ValueError, match="not finite"):
        ridge.learn(np.ones(2), bad)
    assert ridge.predict(np.ones(2)) == 0


def test_a_few_outcomes_move_the_table_as_counting_says():
    table = MovingTable(1)
    for _ in range(5):
        table.learn(np.zeros(1), -0.4)
    weights = (1 - 1 / MEMORY) ** np.arange(5)
    mean = -0.4 * weights.sum() / (weights.sum() + SHRINKAGE)
    assert table.whole(0.0) == pytest.approx(mean)
    # As far as its own outcomes say nothing, it is as the others.
    left = SHRINKAGE / (weights.sum() + SHRINKAGE)
    assert table.whole(0.2) == pytest.approx(mean + left * 0.2)
    assert table.tasks(mean, np.array([0.3])) == pytest.approx([0.3])


def test_a_task_moves_apart_from_the_whole():
    table = MovingTable(2)
    for number in range(200):
        table.learn(np.eye(2)[number % 2], 0.3 if number % 2 else -0.3)
    bad, good = table.whole(0.0) + table.tasks(table.whole(0.0), np.zeros(2))
    assert bad < -0.2
    assert good > 0.2


def test_the_past_fades():
    table = MovingTable(1)
    for _ in range(2_000):
        table.learn(np.ones(1), 0.2)
    for _ in range(300):
        table.learn(np.ones(1), -0.2)
    assert table.whole(0.0) < -0.1


@pytest.mark.parametrize("difference", [float("nan"), 1.5, -1.1])
def test_a_table_refuses_what_is_no_difference(difference):
    with pytest.raises(ValueError, match="difference"):
        MovingTable(1).learn(np.ones(1), difference)


def test_a_model_gains_on_others_by_being_better_and_not_by_being_asked():
    learner = Learner(1)
    for _ in range(30):
        learner.learn("asked", np.ones(1), NOTHING, 0.5)  # these prompts are easier than foretold
    asked, never = (learner.offset(model, np.ones(1), NOTHING) for model in ("asked", "never"))
    assert asked == pytest.approx(0.5, abs=0.06)
    assert 0 <= asked - never < 0.1
    for _ in range(30):
        learner.learn("worse", np.ones(1), NOTHING, 0.1)
    asked, worse, never = (learner.offset(model, np.ones(1), NOTHING) for model in ("asked", "worse", "never"))
    assert asked - worse > 0.25
    assert worse < never < asked


def test_a_learner_comes_back():
    learner = Learner(2, 3)
    chance = np.random.default_rng(1)
    for number in range(120):
        learner.learn(f"model{number % 3}", np.array([0.4, 0.6]), chance.normal(size=3), float(chance.uniform(-1, 1)))
    back = Learner.restored(learner.state())
    for model in ("model0", "model1", "unknown"):
        shares, places = np.array([0.1, 0.9]), chance.normal(size=3)
        assert back.offset(model, shares, places) == pytest.approx(learner.offset(model, shares, places))
        assert back.outcomes(model) == learner.outcomes(model)


@given(some.binary(max_size=200))
def test_anything_else_is_no_state(data):
    with pytest.raises(ValueError, match="not the state"):
        Learner.restored(data)


def test_models_are_bounded():
    learner = Learner(1)
    for number in range(250):
        learner.learn(f"model{number}", np.ones(1), NOTHING, 0.1)
    assert learner.outcomes("model0") == 0
    assert learner.outcomes("model249") == 1
