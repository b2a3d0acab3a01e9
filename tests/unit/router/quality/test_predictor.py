"""Predictions of the shipped artefact, and what outcomes do to them."""

from __future__ import annotations

import numpy as np
import pytest

from services.router.quality.artefact import load
from services.router.quality.predictor import Known, Predictor

EASY = "Tom has 3 apples and buys 5 more apples every day for 4 days. How many apples does Tom have?"
HARD = "Let $p(x)$ be a polynomial with $p(x^3) = x^5 p(x) - 3$ for all real $x$. Find the remainder modulo $x^2 - 1$."
SMALL, FRONTIER, NEW = Known("cheap-one", "small"), Known("dear-one", "frontier"), Known("nobody-knows")


@pytest.fixture(scope="module")
def artefact():
    return load()


@pytest.fixture
def predictor(artefact):
    return Predictor(artefact)


def taught(predictor, model, quality, times, tenant="", text=EASY):
    for _ in range(times):
        prediction = predictor.predict_text(text, 10, [model], tenant)
        predictor.learn(prediction.noted(0), model.id, quality, tenant)


def test_a_tier_is_the_prior_of_a_model_that_nobody_knows(predictor):
    prediction = predictor.predict_text(EASY, 8, [SMALL, FRONTIER, NEW])
    small, frontier, new = prediction.quality
    assert 0 < small < frontier < 1
    assert small < new < frontier
    assert prediction.outcomes == (0, 0, 0)


def test_a_hard_prompt_is_foretold_to_go_worse(predictor):
    easy, hard = (predictor.predict_text(text, 20, [SMALL]).quality[0] for text in (EASY, HARD))
    assert hard < easy


def test_tens_of_outcomes_move_a_model(predictor):
    before = predictor.predict_text(EASY, 10, [NEW]).quality[0]
    taught(predictor, NEW, 0.0, 30)
    after = predictor.predict_text(EASY, 10, [NEW])
    assert after.outcomes == (30,)
    assert after.quality[0] < before / 2
    assert predictor.predict_text(EASY, 10, [SMALL]).outcomes == (0,)


def test_a_new_model_that_answers_as_the_best_is_foretold_as_it(predictor):
    models, chance = [SMALL, FRONTIER, NEW], np.random.default_rng(1)
    for number in range(60):
        prediction = predictor.predict_text(f"{EASY if number % 2 else HARD} {number}", 10, models)
        best, small = (float(chance.random() < share) for share in (0.7, 0.3))
        for place, quality in enumerate((small, best, best)):
            predictor.learn(prediction.noted(place), models[place].id, quality)
    for text in (EASY, HARD):
        small, best, new = predictor.predict_text(text, 10, models).quality
        assert abs(new - best) < 0.05 < best - small
        # A plan without the others knows it as well.
        assert predictor.predict_text(text, 10, [NEW]).quality[0] == pytest.approx(new, abs=0.15)


def test_one_tenant_moves_no_other(predictor):
    before = predictor.predict_text(EASY, 10, [SMALL], "other").quality[0]
    taught(predictor, SMALL, 0.0, 100, tenant="poisoner")
    assert predictor.predict_text(EASY, 10, [SMALL], "poisoner").quality[0] < before - 0.2
    assert predictor.predict_text(EASY, 10, [SMALL], "other").quality[0] == before
    assert predictor.predict_text(EASY, 10, [SMALL]).quality[0] == before


@pytest.mark.parametrize("quality", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_quality_outside_its_range_is_refused(predictor, quality):
    noted = predictor.predict_text(EASY, 10, [SMALL]).noted(0)
    with pytest.raises(ValueError, match="outside"):
        predictor.learn(noted, SMALL.id, quality)
    assert predictor.predict_text(EASY, 10, [SMALL]).outcomes == (0,)


@pytest.mark.parametrize("noted", [b"", b"x" * 11])
def test_facts_of_another_artefact_are_refused(predictor, noted):
    with pytest.raises(ValueError, match="another artefact"):
        predictor.learn(noted, SMALL.id, 1.0)


def test_damaged_facts_are_refused(predictor):
    noted = predictor.predict_text(EASY, 10, [SMALL]).noted(0)
    with pytest.raises(ValueError, match="damaged"):
        predictor.learn(np.full(len(noted) // 2, np.nan, "<f2").tobytes(), SMALL.id, 1.0)


def test_tenants_are_bounded(artefact):
    predictor = Predictor(artefact, most_tenants=3)
    for number in range(5):
        taught(predictor, SMALL, 0.0, 1, tenant=f"tenant{number}")
    seen = [predictor.predict_text(EASY, 10, [SMALL], f"tenant{number}").outcomes[0] for number in range(5)]
    assert seen == [0, 0, 1, 1, 1]


def test_a_swapped_artefact_begins_anew(artefact, predictor):
    taught(predictor, SMALL, 0.0, 30)
    predictor.swap(artefact)
    assert predictor.predict_text(EASY, 10, [SMALL]).outcomes == (0,)
