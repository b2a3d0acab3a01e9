"""Fits what is read of a prompt's words: the terms, the task classifier and the coordinates among the prompts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from services.router.quality.features import BUCKET_BITS, Reading
from services.router.quality.text import TextHead
from services.training.folds import folds

Floats = npt.NDArray[np.float64]
_RAREST = 2
_PLACES = 64
_FOLDS = 5
_LOOSENESS = 20.0  # of the classifier, the inverse of its penalty


@dataclass(frozen=True, slots=True)
class Read:
    """n prompts as the second stage sees them. `tasks` [n, tasks] come from classifiers that had not seen the row."""

    cheap: Floats
    places: Floats
    tasks: Floats
    truth: Floats  # [n, tasks], 0 or 1


def fit_text(
    ids: Sequence[str], readings: Sequence[Reading], labels: Sequence[str], *, most_terms: int
) -> tuple[TextHead, tuple[str, ...], Read]:
    """(the head fitted on all prompts, the names of the tasks, the prompts as the second stage is to see them)."""
    counts = _counts(readings)
    buckets, idf = _vocabulary(counts, most_terms)
    rows = _normed(counts[:, buckets].multiply(idf).tocsr())
    names = tuple(sorted(set(labels)))
    truth = (np.array(labels)[:, None] == np.array(names)[None, :]).astype(np.float64)
    part = folds(ids, _FOLDS, "text")
    tasks = np.zeros(truth.shape)
    for fold in range(_FOLDS):
        inside, outside = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        if len(outside):
            weights, intercepts = _classifier(rows[inside], truth[inside])
            tasks[outside] = _shares(rows[outside] @ weights + intercepts)
    weights, intercepts = _classifier(rows, truth)
    directions = _directions(rows)
    heads = np.hstack([weights, directions]).astype(np.float16).astype(np.float32)
    head = TextHead(buckets.astype(np.uint32), idf.astype(np.float16).astype(np.float32), heads, intercepts)
    cheap = np.stack([reading.cheap for reading in readings])
    return head, names, Read(cheap, np.asarray(rows @ directions), tasks, truth)


def _counts(readings: Sequence[Reading]) -> sparse.csr_matrix:
    sizes = [len(reading.buckets) for reading in readings]
    weights = np.concatenate([reading.weights for reading in readings]).astype(np.float64)
    columns = np.concatenate([reading.buckets for reading in readings]).astype(np.int64)
    rows = np.repeat(np.arange(len(readings)), sizes)
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(readings), 1 << BUCKET_BITS))


def _vocabulary(counts: sparse.csr_matrix, most: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The buckets that at least two prompts use, the most used ones where there are too many; and their weights."""
    used = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(used >= _RAREST)
    if len(kept) > most:
        kept = np.sort(kept[np.argsort(-used[kept], kind="stable")[:most]])
    return kept, np.log((1 + counts.shape[0]) / (1 + used[kept])) + 1


def _normed(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    lengths[lengths == 0] = 1
    return sparse.csr_matrix(sparse.diags(1 / lengths) @ rows)


def _classifier(rows: sparse.csr_matrix, truth: Floats) -> tuple[Floats, Floats]:
    """(weights [terms, tasks], intercepts [tasks]); a task without a row is never told."""
    tasks = truth.shape[1]
    weights, intercepts = np.zeros((rows.shape[1], tasks)), np.full(tasks, -30.0)
    labels = truth.argmax(axis=1)
    present = np.unique(labels)
    if len(present) == 1:
        intercepts[present] = 0.0
        return weights, intercepts
    model = LogisticRegression(C=_LOOSENESS, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
        model.fit(rows, labels)
    coefficients, constants = model.coef_, model.intercept_
    if len(present) == 2:  # one line for two classes
        coefficients = np.vstack([-coefficients / 2, coefficients / 2])
        constants = np.array([-constants[0] / 2, constants[0] / 2])
    weights[:, present], intercepts[present] = coefficients.T, constants
    return weights, intercepts


def _shares(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _directions(rows: sparse.csr_matrix) -> Floats:
    """[terms, places] of latent semantic analysis; a smaller vocabulary is padded with nothing."""
    places = min(_PLACES, min(rows.shape) - 1)
    found = np.zeros((rows.shape[1], _PLACES))
    if places > 0:
        found[:, :places] = TruncatedSVD(places, random_state=0).fit(rows).components_.T
    return found
