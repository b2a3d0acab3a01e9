"""Fits the learned verifier after one number of answers: means of patterns, and half a linear model, half trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.router.judge.learned import Step, standardised
from services.training import boosting
from services.training.residual import ridge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_SHRINKAGE = 20.0
_TREES = 60


@dataclass(frozen=True, slots=True)
class Lesson:
    """n requests after some answers. `pattern` [n] < `patterns`; `targets` [n, (quality, gain of the reference)]."""

    pattern: Ints
    patterns: int
    features: npt.NDArray[np.float32]
    targets: Floats


def foretold(lesson: Lesson, inside: Ints, outside: Ints) -> Floats:
    """The reference's gain [outside], by a verifier that was fitted on `inside`."""
    means, centre, scale, linear, beyond = _fitted(lesson, inside)
    features = lesson.features[outside]
    lines = standardised(features, centre, scale) @ linear[:-1, 1] + linear[-1, 1]
    trees = boosting.foretold(lesson.features[inside], beyond[:, 1:], _TREES, features)[:, 0]
    gain: Floats = means[lesson.pattern[outside], 1] + (lines + trees) / 2
    return gain


def fit_step(lesson: Lesson) -> Step:
    """The verifier of all rows."""
    means, centre, scale, linear, beyond = _fitted(lesson, np.arange(len(lesson.pattern)))
    trees = boosting.arrays([boosting.fitted(lesson.features, target, _TREES) for target in beyond.T])
    return Step(means, centre, scale, linear, trees)


def _fitted(lesson: Lesson, inside: Ints) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """(means, centre, scale, linear model, what lies beyond the means [inside, 2])."""
    targets, pattern = lesson.targets[inside], lesson.pattern[inside]
    member = (pattern[:, None] == np.arange(lesson.patterns)[None, :]).astype(np.float64)
    means = (member.T @ targets + _SHRINKAGE * targets.mean(axis=0)) / (member.sum(axis=0)[:, None] + _SHRINKAGE)
    beyond = targets - means[pattern]
    features = lesson.features[inside].astype(np.float64)
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    return means, centre, scale, ridge(standardised(lesson.features[inside], centre, scale), beyond), beyond
