"""Platt's scaling: it mends what is off, and leaves alone what it knows too little of."""

from __future__ import annotations

import numpy as np

from services.router.quality.calibrate import platt
from services.router.quality.cost import fit_cost
from services.router.quality.estimator import calibrated


def test_predictions_that_are_too_sure_are_drawn_in():
    chance = np.random.default_rng(2)
    true = chance.uniform(0.3, 0.7, 5_000)
    quality = (chance.random(5_000) < true).astype(float)
    raw = np.clip(0.5 + 2.5 * (true - 0.5), 0, 1)
    slope, offset = platt(raw, quality)
    mended = calibrated(raw[:, None], np.array([slope]), np.array([offset]))[:, 0]
    assert slope < 0.6
    assert np.abs(mended - true).mean() < np.abs(raw - true).mean() / 2


def test_few_outcomes_change_little_and_unknown_ones_nothing():
    slope, offset = platt(np.array([0.9, 0.9, 0.5]), np.array([0.0, 0.0, np.nan]))
    assert abs(slope - 1) < 0.1
    assert abs(offset) < 0.1
    assert platt(np.array([0.5]), np.array([np.nan])) == (1.0, 0.0)


def test_costs_follow_length_and_task_and_never_fall_below_the_least():
    tasks = np.eye(2)[np.arange(200) % 2]
    tokens = np.linspace(10, 1_000, 200)
    usd = (0.001 * tokens + np.where(tasks[:, 1] == 1, 0.5, 0.0))[:, None]
    model = fit_cost(tokens, tasks, usd)
    short, long = (float(model.expected(size, np.array([1.0, 0.0]))[0]) for size in (100.0, 900.0))
    assert 0.7 < long - short < 0.9
    assert float(model.expected(500.0, np.array([0.0, 1.0]))[0]) > float(model.expected(500.0, np.array([1.0, 0.0]))[0])
    assert float(model.expected(-1e6, np.array([1.0, 0.0]))[0]) == usd.min()
