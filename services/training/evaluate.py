"""Figures of an artefact on rows that its fitted parts had not seen: explained quality, AUC, debiased ECE. Pure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_BINS = 10
_DRAWS = 20


def explained(foretold: Floats, quality: Floats) -> float:
    """1 - squared error / variance, over all known qualities together."""
    known = ~np.isnan(quality)
    spread = float(quality[known].var())
    return 1 - float(((foretold - quality)[known] ** 2).mean()) / spread if spread > 0 else 0.0


def auc(foretold: Floats, quality: Floats) -> float:
    """Mean over the columns of the area under the ROC against quality > 0.5; 0.5 where no column has one."""
    found = []
    for column in range(quality.shape[1]):
        known = ~np.isnan(quality[:, column])
        good, score = quality[known, column] > 0.5, foretold[known, column]
        if good.any() and not good.all():
            found.append(_area(score, good))
    return float(np.mean(found)) if found else 0.5


def debiased_ece(foretold: Floats, quality: Floats) -> float:
    """Mean over the columns of the expected calibration error, less what chance alone would show."""
    chance = np.random.default_rng(0)
    found = []
    for column in range(quality.shape[1]):
        known = ~np.isnan(quality[:, column])
        score = foretold[known, column]
        drawn = [_ece(score, (chance.random(len(score)) < score).astype(np.float64)) for _ in range(_DRAWS)]
        found.append(_ece(score, quality[known, column]) - float(np.mean(drawn)))
    return float(np.mean(found))


def _area(score: Floats, good: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ordered = score[order]
    edges = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    for first, end in pairwise(edges):
        ranks[order[first:end]] = (first + end + 1) / 2  # ties share the mean of their ranks
    number = int(good.sum())
    return float((ranks[good].sum() - number * (number + 1) / 2) / (number * (len(score) - number)))


def _ece(score: Floats, quality: Floats) -> float:
    place = np.minimum((score * _BINS).astype(np.int64), _BINS - 1)
    return float(np.abs(np.bincount(place, score - quality, minlength=_BINS)).sum()) / len(score)
