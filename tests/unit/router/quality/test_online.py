"""What outcomes teach one at a time: the streaming ridge, the moving tables, and the learner of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.router.quality.beside import Beside
from services.router.quality.learner import Learner, Seen
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import MEMORY, SHRINKAGE, MovingTable

NOTHING = np.zeros(1)
ONE_TASK = Seen(np.ones(1), NOTHING, 0.5)


@given(some.integers(0, 10_000), some.integers(1, 6), some.integers(1, 40), some.floats(0.1, 50))
def test_streaming_equals_batch(seed, width, number, penalty):
    chance = np.random.default_rng(seed)
    rows, targets = chance.normal(size=(number, width)), chance.normal(size=number)
    ridge = StreamingRidge(width, penalty)
    for row, target in zip(rows, targets, strict=True):
        ridge.learn(row, float(target))
    batch = np.linalg.solve(rows.T @ rows + penalty * np.eye(width), rows.T @ targets)
    asked = chance.normal(size=width)
    assert float(ridge.weights @ asked) == pytest.approx(float(batch @ asked), abs=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_ridge_refuses_what_is_no_number(bad):
    ridge = StreamingRidge(2, 1.0)
    with pytest.raises(ValueError, match="not finite"):
        ridge.learn(np.array([1.0, bad]), 0.0)
    with pytest.raises(ValueError, match="not finite"):
        ridge.learn(np.ones(2), bad)
    assert not ridge.weights.any()


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
    learner = Learner(1, 1)
    for _ in range(30):
        learner.learn("asked", ONE_TASK, 0.5)  # these prompts are easier than foretold
    asked, never = learner.moved(("asked", "never"), np.zeros(2), np.ones(1), NOTHING)
    assert asked == pytest.approx(0.5, abs=0.06)
    assert 0 <= asked - never < 0.1
    for _ in range(30):
        learner.learn("worse", ONE_TASK, 0.1)
    asked, worse, never = learner.moved(("asked", "worse", "never"), np.zeros(3), np.ones(1), NOTHING)
    assert asked - worse > 0.25
    assert worse < never < asked


def asked(learner, qualities, chance, forecasts, trained=("known", "other")):
    """One prompt that some models were asked."""
    shares = chance.dirichlet(np.ones(2))
    places = chance.normal(size=3)
    for model, quality in qualities.items():
        seen = Seen(shares, places, forecasts[model], model in trained)
        learner.learn(model, seen, quality - seen.forecast)


def test_what_all_models_have_in_common_moves_those_that_nobody_asked():
    learner, chance = Learner(2, 3), np.random.default_rng(2)
    forecasts = {"known": 0.6, "other": 0.5}
    for _ in range(80):
        asked(learner, dict.fromkeys(forecasts, 0.1), chance, forecasts)
    moved = learner.moved(("other", "never", "known"), np.array([0.5, 0.4, 0.6]), np.array([0.3, 0.7]), np.zeros(3))
    assert moved == pytest.approx([0.1, 0.0, 0.1], abs=0.1)


def test_what_lies_in_the_prompts_coordinates_is_learned_after_tens_of_outcomes():
    learner, chance = Learner(1, 2), np.random.default_rng(2)
    for _ in range(200):
        places = chance.normal(size=2)
        quality = 0.5 + 0.2 * float(np.clip(places[0], -2, 2))
        learner.learn("m", Seen(np.ones(1), places, 0.5), quality - 0.5)
    low, high = (learner.moved(("m",), np.array([0.5]), np.ones(1), np.array([at, 0.0]))[0] for at in (-1.0, 1.0))
    assert (low, high) == pytest.approx((0.3, 0.7), abs=0.07)


def compared(new, often=1.0, prompts=60):
    """(what is foretold of a new model, what of the known one), whose answers are right by luck alone."""
    learner, chance = Learner(2, 3), np.random.default_rng(3)
    forecasts = {"known": 0.8, "other": 0.5, "new": 0.55}
    for _ in range(prompts):
        known, other = float(chance.random() < 0.8), float(chance.random() < 0.5)
        others = {"known": known, "other": other} if chance.random() < often else {}
        asked(learner, {"new": new(known, chance), **others}, chance, forecasts)
    places = np.zeros(3)
    gaps = []
    for share in (0.1, 0.5, 0.9):
        shares = np.array([share, 1 - share])
        moved = learner.moved(("known", "other", "new"), np.array([0.8, 0.5, 0.55]), shares, places)
        gaps.append(float(moved[2] - moved[0]))
    return gaps


@pytest.mark.parametrize("often", [1.0, 0.7])
def test_a_new_model_that_answers_as_a_known_one_is_soon_foretold_as_that(often):
    gaps = compared(lambda known, chance: known, often)
    assert np.abs(gaps).max() < (0.01 if often == 1.0 else 0.08)


def test_a_new_model_that_is_a_little_worse_is_told_from_its_like():
    gaps = compared(lambda known, chance: known * float(chance.random() < 0.85))
    assert -0.2 < min(gaps) <= max(gaps) < -0.05


def test_a_model_that_answers_on_its_own_is_foretold_by_its_own_outcomes():
    gaps = compared(lambda known, chance: float(chance.random() < 0.3), prompts=200)
    assert gaps == pytest.approx([-0.5] * 3, abs=0.12)


def set_beside(others, differences):
    """(what was learned beside others, the model's own table), of one task."""
    beside, table = Beside(1), MovingTable(1)
    for together, difference in zip(others, differences, strict=True):
        table.learn(np.ones(1), difference)
        beside.learn(np.ones(1), difference, together, table)
    return beside, table


def test_others_that_are_seldom_asked_beside_it_say_nothing():
    chance = np.random.default_rng(4)
    others = [{"seldom": float(chance.normal())} if number % 3 == 0 else {} for number in range(90)]
    beside, table = set_beside(others, chance.uniform(-1, 1, 90).tolist())
    assert beside.standing(table).weights == {}


@pytest.mark.parametrize(("outcomes", "believed"), [(10, 0.0), (20, 0.5), (400, 1.0)])
def test_others_together_count_as_one_model_at_most_and_less_after_few_outcomes(outcomes, believed):
    answers = np.random.default_rng(7).random(outcomes) - 0.5
    others = [{"louder": 0.4 * each, "opposite": -0.4 * each, "twin": each} for each in answers.tolist()]
    beside, table = set_beside(others, answers.tolist())
    assert sum(map(abs, beside.standing(table).weights.values())) <= believed


def test_others_that_are_not_foretold_now_count_by_their_mean():
    differences = (np.random.default_rng(5).random(60) < 0.7) - 0.4
    beside, table = set_beside([{"twin": float(each)} for each in differences], differences.tolist())
    standing, nothing = beside.standing(table), np.zeros(2)
    assert standing.weights["twin"] > 0.8
    assert standing.added([], nothing) == pytest.approx(standing.left)
    absent = standing.added(["twin"], nothing) - standing.left
    assert absent == pytest.approx(standing.weights["twin"] * standing.means["twin"])


def test_others_are_bounded():
    together = [{f"model{number}": 0.2, "always": 0.2} for number in range(40)]
    beside, table = set_beside([{"model39": 0.1}, *together], [0.1] * 41)
    assert set(beside.standing(table).weights) <= {"always"}


def test_what_a_model_did_alone_is_not_lost_when_it_is_first_asked_beside_others():
    learner, chance = Learner(1, 1), np.random.default_rng(6)
    alone = [Seen(np.ones(1), np.array([float(number)]), 0.5, trained=False) for number in range(100)]
    for seen in alone:
        learner.learn("new", seen, -0.3)
    before = learner.moved(("new",), np.array([0.5]), np.ones(1), NOTHING)
    together = Seen(np.ones(1), np.array([-1.0]), 0.5, trained=False)
    learner.learn("new", together, -0.3)
    learner.learn("other", together, float(chance.random()))
    learner.learn("other", alone[0], 0.0)
    assert learner.moved(("new",), np.array([0.5]), np.ones(1), NOTHING) == pytest.approx(before, abs=0.02)


def test_models_are_bounded():
    learner = Learner(1, 1)
    for number in range(250):
        learner.learn(f"model{number}", ONE_TASK, 0.1)
    assert learner.outcomes("model0") == 0
    assert learner.outcomes("model249") == 1
