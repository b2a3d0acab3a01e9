"""From outcomes to an artefact, on a world that is known: two tasks, three models, and answers that may agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("sklearn")

from services.router.quality.artefact import parse
from services.router.quality.features import read
from services.training.boosting import arrays, fitted
from services.training.escalation import agreeing
from services.training.folds import folds
from services.training.outcomes import Outcomes, OutcomesUnusable
from services.training.residual import table_of
from services.training.tiers import Tiers, by_tier, shipped, together
from services.training.train import train

MODELS = ("small", "medium", "large")
# Probability of a right answer to sums, and to questions of history.
RIGHT = {"sums": (0.9, 0.9, 0.95), "history": (0.35, 0.6, 0.9)}
USD = np.array([0.0001, 0.0003, 0.004])


def world(rows: int = 300, seed: int = 3) -> Outcomes:
    chance = np.random.default_rng(seed)
    prompts, tasks, quality, answers = [], [], [], []
    for _ in range(rows):
        task = "sums" if chance.random() < 0.5 else "history"
        one, other = chance.integers(10, 99, 2)
        kings = ("Henry", "Louis", "Otto", "Charles")
        prompts.append(
            f"What is the sum of {one} apples and {other} apples?"
            if task == "sums"
            else f"In which year did king {kings[int(one) % 4]} of the empire win battle number {other}?"
        )
        good = chance.random(len(MODELS)) < np.array(RIGHT[task])
        tasks.append(task)
        quality.append(good.astype(float))
        answers.append(tuple("1" if right else str(chance.integers(2, 9)) for right in good))
    in_tokens = np.array([float(len(prompt) // 4) for prompt in prompts])
    usd = np.tile(USD, (rows, 1)) * (1 + in_tokens[:, None] / 100)
    return Outcomes(
        tuple(str(row) for row in range(rows)),
        tuple(prompts),
        tuple(tasks),
        in_tokens,
        MODELS,
        np.array(quality),
        usd,
        tuple(answers),
        np.full((rows, len(MODELS)), 5.0),
    )


@pytest.fixture(scope="module")
def artefact():
    return train(world(), {"made": "by a test"})


def test_the_same_outcomes_make_the_same_bytes(artefact):
    few = [train(replace(world(80), answers=None), {}).dump() for _ in range(2)]
    assert few[0] == few[1]
    assert parse(artefact.dump()).dump() == artefact.dump()


def test_tasks_and_models_are_told_apart(artefact):
    sums = artefact.estimator.estimate(read("What is the sum of 31 apples and 45 apples?", 11))
    past = artefact.estimator.estimate(read("In which year did king Otto of the empire win battle number 31?", 16))
    assert artefact.estimator.tasks[int(sums[0].argmax())] == "sums"
    assert artefact.estimator.tasks[int(past[0].argmax())] == "history"
    assert sums[2][0] > past[2][0] + 0.3
    assert past[2][2] > past[2][0] + 0.3


def test_what_was_learned_is_judged_on_what_was_not_seen(artefact):
    found = artefact.evaluation
    assert found.rows == 300
    assert 0.1 < found.explained < 0.5
    assert found.auc > 0.6
    assert abs(found.ece) < 0.06
    assert artefact.reference == "large"
    assert found.saving > 0.3
    assert found.change > -0.01


def test_too_few_rows_teach_nothing():
    with pytest.raises(OutcomesUnusable, match="fewer than"):
        train(world(20), {})


def test_a_table_cell_is_counted():
    truth = np.eye(2)[[0, 0, 1]]
    table = table_of(truth, np.array([[1.0], [0.0], [1.0]]))
    mean = 2 / 3
    ease = [(1 + 0 - 2 * mean) / (2 + 5), (1 - mean) / (1 + 5)]
    assert table[:, 0] == pytest.approx([((mean + ease[0]) * 10 + 1) / 12, (min(1.0, mean + ease[1]) * 10 + 1) / 11])


def test_agreement_is_played_without_any_model():
    from services.training.escalation import Played

    outcomes = world()
    assert outcomes.answers is not None
    empty = np.zeros((300, 1))
    played = Played(
        outcomes.ids,
        outcomes.quality,
        outcomes.usd,
        empty,
        empty,
        outcomes.in_tokens,
        empty[:, 0],
        outcomes.answers,
        outcomes.quality,
        outcomes.quality,
        outcomes.usd,
    )
    found = agreeing(played, (0, 1), 2)
    same = np.array([row[0] == row[1] for row in outcomes.answers])
    spent = outcomes.usd[:, :2].sum() + outcomes.usd[~same, 2].sum()
    assert found.saving == pytest.approx(1 - spent / outcomes.usd[:, 2].sum())


def test_the_trees_of_the_router_are_those_of_the_library():
    chance = np.random.default_rng(5)
    rows = chance.normal(size=(500, 6)).astype(np.float32)
    targets = np.stack([rows[:, 0] * rows[:, 1], np.abs(rows[:, 2])], axis=1)
    models = [fitted(rows, target, 20) for target in targets.T]
    made = arrays(models)
    for row in rows[:50]:
        assert made.scores(row) == pytest.approx([float(model.predict(row[None, :])[0]) for model in models], abs=1e-5)


def test_folds_are_the_same_in_every_run_and_about_as_large():
    part = folds([str(number) for number in range(1_000)], 5, "x")
    assert part[:8].tolist() == folds([str(number) for number in range(8)], 5, "x").tolist()
    assert np.bincount(part, minlength=5).min() > 150


def test_tiers_are_means_of_their_models_and_unknown_without_any():
    tiers = Tiers(
        {"small": ["small", "medium"], "medium": [], "large": ["large"], "frontier": []}, {"sums": "maths"}, {}
    )
    found = by_tier(world(), tiers)
    assert found.models == ("small", "medium", "large", "frontier")
    assert found.quality[:, 0] == pytest.approx(world().quality[:, :2].mean(axis=1))
    assert np.isnan(found.quality[:, 1]).all()
    assert set(found.tasks) == {"maths", "history"}
    with pytest.raises(OutcomesUnusable, match="none of its models"):
        by_tier(replace(world(), models=("x", "y", "z")), tiers)


def test_parts_are_put_together_by_the_names_of_their_models():
    other = replace(world(10, 4), models=("large", "new", "small"))
    found = together([world(10), other])
    assert found.models == (*MODELS, "new")
    assert found.quality.shape == (20, 4)
    assert (found.quality[10:, 2] == other.quality[:, 0]).all()
    assert np.isnan(found.quality[:10, 3]).all()


def test_no_model_is_in_two_tiers():
    models = [model for tier in shipped().models.values() for model in tier]
    assert len(models) == len(set(models))


def test_the_ladder_walks_and_its_verifier_comes_back(artefact):
    from services.router.judge.agreement import Answer, Asked

    escalation = artefact.escalation
    assert escalation is not None
    assert escalation.ladder.models[-1] == "large"
    calls = escalation.verifier.first
    models = (*escalation.ladder.models[:calls], escalation.ladder.models[-1])
    back = parse(artefact.dump()).escalation
    assert back is not None
    verdicts = []
    for said in (["1"] * calls, [str(number + 2) for number in range(calls)]):
        answers = [Answer(one, 5) for one in said]
        asked = Asked(models, [1.0] * calls, answers, 2.0, 1.0, 0.0, 10, np.array([0.5, 0.5]))
        verdict = escalation.verifier.verdict(asked)
        assert verdict == back.verifier.verdict(asked)
        assert verdict is not None
        assert 0 <= verdict.good <= 1
        verdicts.append(verdict)
    if calls > 1:
        agreed, apart = verdicts
        assert agreed.good > apart.good + 0.2
        assert (apart.instead or 0) - apart.good > (agreed.instead or 0) - agreed.good
    nothing = Asked(models, [1.0], [], 2.0, 1.0, 0.0, 10, np.array([0.5, 0.5]))
    assert escalation.verifier.verdict(nothing) is None


def test_a_verifier_speaks_of_the_ladder_that_it_was_taught_alone(artefact):
    from services.router.judge.agreement import Answer, Asked
    from services.router.judge.untaught import by_agreement
    from services.router.learning.wiring import _NewestVerifier
    from services.router.quality.predictor import Predictor

    escalation = artefact.escalation
    calls, newest = escalation.verifier.first, _NewestVerifier(Predictor(artefact))
    answers = [Answer("1", 5)] * calls
    own = (*escalation.ladder.models[:calls], escalation.ladder.models[-1])
    asked = Asked(own, [1.0] * calls, answers, 2.0, 1.0, 0.0, 10, np.array([0.5, 0.5]))
    assert newest.verdict(asked) == escalation.verifier.verdict(asked)
    other = replace(asked, models=("somebody", *own[1:]))
    assert newest.verdict(other) == by_agreement(other)


def test_a_request_hears_what_training_says_of_its_cascade(artefact):
    from services.router.forecast import Question
    from services.router.learning.forecasts import Forecasts
    from services.router.quality.predictor import Predictor

    prompt = "What is the sum of 31 apples and 45 apples?"
    found = Forecasts(Predictor(artefact)).predict(Question("t", "simple_qa", prompt, 11), [])
    tasks, _, columns = artefact.estimator.estimate(read(prompt, 11))
    assert found.mean() == pytest.approx(float(np.log(columns / (1 - columns)).mean()))
    taught = found.taught()
    assert taught is not None
    assert taught.price_usd == pytest.approx(float(artefact.cost.expected(11, tasks)[2]))
