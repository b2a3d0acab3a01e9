"""Fits the second stage: the table of tasks, and what lies beyond it, weighed by how well it is foretold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.router.quality.calibrate import platt
from services.router.quality.estimator import TREE_PLACES, Residual, calibrated
from services.training import boosting
from services.training.text import Read

Floats = npt.NDArray[np.float64]
Parts = npt.NDArray[np.int64]
_SHRINKAGE = 10.0
# The same for how easy a task is, counted in single qualities.
_EASE = 5.0
_DIRECTIONS = 3
_PENALTY = 300.0
_TREES = 80
_FARTHEST = 4.0
# The directions themselves are believed as much as so many rows that say otherwise.
_BELIEVED = 200.0
# Squared error of a correlation in its own standard errors, twice over: what chance would show now and then.
_CHANCE = 4.0
# Beyond this a direction would be trusted more than it has earned.
_MOST = 1.2


@dataclass(frozen=True, slots=True)
class Fitted:
    """`foretold` [n, columns]: the calibrated quality of each row, from parts fitted without it."""

    table: Floats
    residual: Residual
    slopes: Floats
    offsets: Floats
    foretold: Floats


def fit_residual(read: Read, quality: Floats, part: Parts) -> Fitted:
    """Everything after the words, from `quality` [n, columns] (NaN: unknown) and the rows' folds."""
    numbers = range(int(part.max()) + 1)
    base = np.zeros(quality.shape)
    for fold in numbers:
        outside = part == fold
        base[outside] = read.tasks[outside] @ table_of(read.truth[~outside], quality[~outside])
    beyond = quality - base
    level = _mean(beyond)
    centred = np.nan_to_num(beyond - level)
    directions = np.linalg.svd(centred, full_matrices=False)[2][: min(_DIRECTIONS, quality.shape[1])]
    directions *= np.sign(directions.sum(axis=1, keepdims=True) + 1e-12)
    scores = centred @ directions.T
    rows, row32 = np.hstack([read.cheap, read.places, read.tasks]), tree_rows(read)
    centre, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    standard = np.clip((rows - centre) / scale, -_FARTHEST, _FARTHEST)
    found = np.zeros(scores.shape)
    for fold in numbers:
        inside, outside = part != fold, part == fold
        if outside.any():
            linear = _with_constant(standard[outside]) @ ridge(standard[inside], scores[inside])
            trees = boosting.foretold(row32[inside], scores[inside], _TREES, row32[outside])
            found[outside] = (linear + trees) / 2
    weights = _weights(found, scores)
    directions = _loadings(found * weights, beyond - level, directions)
    raw = base + level + (found * weights) @ directions
    lines = np.array([platt(raw[:, column], quality[:, column]) for column in range(quality.shape[1])])
    forest = boosting.arrays([boosting.fitted(row32, target, _TREES) for target in scores.T])
    residual = Residual(centre, scale, ridge(standard, scores), forest, weights, directions, level)
    slopes, offsets = lines[:, 0], lines[:, 1]
    return Fitted(table_of(read.truth, quality), residual, slopes, offsets, calibrated(raw, slopes, offsets))


def table_of(truth: Floats, quality: Floats) -> Floats:
    """[tasks, columns]: (prior x 10 + sum) / (10 + number) of the known qualities of each task.

    The prior is the column's mean, moved by how much easier the task is than others for the columns that are known.
    """
    known = ~np.isnan(quality)
    mean = _mean(quality)
    apart = np.nan_to_num(quality - mean).sum(axis=1)
    ease = (truth.T @ apart) / (truth.T @ known.sum(axis=1) + _EASE)
    prior = np.clip(mean[None, :] + ease[:, None], 0.0, 1.0)
    table: Floats = (prior * _SHRINKAGE + truth.T @ np.nan_to_num(quality)) / (_SHRINKAGE + truth.T @ known)
    return table


def ridge(rows: Floats, targets: Floats) -> Floats:
    """[features + 1, k] of standardised rows; the last row is the constant, which is not penalised."""
    mean = targets.mean(axis=0)
    slopes = np.linalg.solve(rows.T @ rows + _PENALTY * np.eye(rows.shape[1]), rows.T @ (targets - mean))
    return np.vstack([slopes, mean])


def tree_rows(read: Read) -> npt.NDArray[np.float32]:
    """The features of the trees of all rows."""
    return np.hstack([read.cheap, read.places[:, :TREE_PLACES], read.tasks]).astype(np.float32)


def _weights(foretold: Floats, scores: Floats) -> Floats:
    """[k]: how much of what is foretold out of sample to believe; less where it may be chance, 0 where it is."""
    both = (foretold * scores).sum(axis=0)
    square = (foretold * foretold).sum(axis=0) + 1e-9
    shared = np.minimum(both * both / (square * (scores * scores).sum(axis=0) + 1e-9), 0.99)
    sure = np.maximum(0.0, 1 - _CHANCE * (1 - shared) / (shared * len(scores) + 1e-9))
    weights: Floats = np.clip(both / square, 0.0, _MOST) * sure
    return weights


def _loadings(foretold: Floats, centred: Floats, directions: Floats) -> Floats:
    """The directions [k, columns], moved to where the columns really go when a direction is foretold.

    Where columns differ most is mostly where the dice fell; what of it is foretold may move them in another proportion.
    """
    found = directions.copy()
    for column in range(centred.shape[1]):
        known = ~np.isnan(centred[:, column])
        rows = foretold[known]
        square = rows.T @ rows
        square += np.diag(np.diag(square) * _BELIEVED / max(1, len(rows)) + 1e-9)
        left = centred[known, column] - rows @ directions[:, column]
        found[:, column] += np.linalg.solve(square, rows.T @ left)
    return found


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    mean: Floats = np.nan_to_num(values).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    return mean


def _with_constant(rows: Floats) -> Floats:
    return np.hstack([rows, np.ones((len(rows), 1))])
