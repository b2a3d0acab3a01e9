"""The probability that one text may get another one's answer, and how sure that must be: a small gradient boosting.

Trees are evaluated as QuickScorer does (Lucchese et al., SIGIR 2015): each split that fails strikes the leaves on its
left out of its tree's bit mask, and the lowest bit that is left is the leaf. Splits of one feature fail in the order of
their limits, so the masks of all trees for every place that a value may have among them are made beforehand: a row of
features costs one search and one row of masks per feature.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from services.cache.features import NAMES, Row

# Raise it whenever the meaning of the arrays changes.
FORMAT = 1
SHIPPED = Path(__file__).with_name("verifier.npz")
MOST_LEAVES = 32
_ALL = 2**MOST_LEAVES - 1
_Any = TypeVar("_Any", bound=np.generic)


class VerifierUnusable(Exception):
    """The file is not one that this release can use; the text says why."""


@dataclass(frozen=True, slots=True)
class _Masks:
    """`table` is [places, trees]; `searched`: a feature, its limits in order, and the row of its lowest place.

    `leaf_values` is [trees * leaves], and `trees` where each tree's begin in it, less one.
    """

    table: npt.NDArray[np.uint32]
    searched: list[tuple[int, list[float], int]]
    leaf_values: npt.NDArray[np.float32]
    trees: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verifier:
    """[splits, trees] arrays, padded with splits that always hold.

    A split holds when feature <= limit. `keeps`: the leaves that stay where it does not. `values` is [trees, leaves].
    `thresholds` are the probabilities needed for the false-hit `budgets`, which are shares of all look-ups, rising.
    """

    features: npt.NDArray[np.int64]
    limits: npt.NDArray[np.float32]
    keeps: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]
    budgets: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]
    _masks: _Masks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises VerifierUnusable where the arrays do not fit together."""
        _check(self)
        object.__setattr__(self, "_masks", _masks(self))

    def confidence(self, rows: npt.NDArray[np.float32] | list[Row]) -> npt.NDArray[np.float64]:
        """Probabilities [rows] of feature rows [rows, features]."""
        scores = np.array([self._score(row) for row in rows])
        probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-scores))
        return probabilities

    def _score(self, row: Row) -> float:
        masks, values = self._masks, row.tolist()
        places = [start + bisect_left(limits, values[feature]) for feature, limits, start in masks.searched]
        left = np.bitwise_and.reduce(masks.table[places], axis=0)
        # The lowest set bit is a power of two; its exponent, one above it as frexp has it, is the leaf.
        leaves = np.frexp((left & (~left + np.uint32(1))).astype(np.float32))[1]
        return float(masks.leaf_values.take(leaves + masks.trees).sum(dtype=np.float64))

    def threshold(self, budget: float) -> float:
        """The probability that keeps false hits within `budget`: that of the nearest budget which is not larger.

        Below the smallest one nothing is served: 1.01.
        """
        place = int(np.searchsorted(self.budgets, budget * (1 + 1e-9), side="right")) - 1
        return 1.01 if place < 0 else float(self.thresholds[place])

    def save(self, path: Path, *, model_hash: str) -> None:
        """Write the file, the same bytes for the same trees. `model_hash`: the embedder that it was fitted with."""
        np.savez(
            path,
            allow_pickle=False,
            format=np.array(FORMAT),
            names=np.array(NAMES),
            model_hash=np.array(model_hash),
            features=self.features.astype(np.int16),
            limits=self.limits,
            keeps=self.keeps,
            values=self.values,
            budgets=self.budgets,
            thresholds=self.thresholds,
        )


def load(path: Path = SHIPPED, *, model_hash: str) -> Verifier:
    """The verifier of a file, for vectors of that embedder. Raises VerifierUnusable."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise VerifierUnusable(f"{path.name}: format {int(arrays['format'])}, not {FORMAT}")
            if tuple(arrays["names"].tolist()) != NAMES:
                raise VerifierUnusable(f"{path.name}: was fitted on other features")
            if str(arrays["model_hash"]) != model_hash:
                raise VerifierUnusable(f"{path.name}: was fitted with another embedder")
            made = {
                "features": _array(arrays["features"], np.int16, 2).astype(np.int64),
                "limits": _array(arrays["limits"], np.float32, 2),
                "keeps": _array(arrays["keeps"], np.uint32, 2),
                "values": _array(arrays["values"], np.float32, 2),
                "budgets": _array(arrays["budgets"], np.float64, 1),
                "thresholds": _array(arrays["thresholds"], np.float64, 1),
            }
    except VerifierUnusable:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as failure:
        raise VerifierUnusable(f"{path.name}: cannot be read") from failure
    try:
        return Verifier(**made)
    except VerifierUnusable as failure:
        raise VerifierUnusable(f"{path.name}: {failure}") from failure


def _array(value: npt.NDArray[_Any], kind: type[_Any], dimensions: int) -> npt.NDArray[_Any]:
    if value.dtype != kind or value.ndim != dimensions:
        raise ValueError("shape or type")
    return value


def _check(verifier: Verifier) -> None:
    shape = verifier.features.shape
    fits = (
        verifier.limits.shape == verifier.keeps.shape == shape
        and verifier.values.shape == (shape[1], MOST_LEAVES)
        and verifier.budgets.shape == verifier.thresholds.shape
        and ((verifier.features >= 0) & (verifier.features < len(NAMES))).all()
        and np.isfinite(verifier.values).all()
        and (np.diff(verifier.budgets) > 0).all()
        and (np.diff(verifier.thresholds) <= 0).all()
        and ((verifier.thresholds >= 0) & (verifier.thresholds <= 1.01)).all()
    )
    if not fits:
        raise VerifierUnusable("its arrays do not fit together")


def _masks(verifier: Verifier) -> _Masks:
    """The masks of all places; a few megabytes, made in a few hundredths of a second."""
    count = verifier.features.shape[1]
    searched: list[tuple[int, list[float], int]] = []
    rows: list[npt.NDArray[np.uint32]] = []
    for feature in range(len(NAMES)):
        splits, trees = np.nonzero((verifier.features == feature) & np.isfinite(verifier.limits))
        if not len(splits):
            continue
        order = np.argsort(verifier.limits[splits, trees], kind="stable")
        splits, trees = splits[order], trees[order]
        own, starts = np.unique(verifier.limits[splits, trees], return_index=True)
        searched.append((feature, own.tolist(), len(rows)))
        mask = np.full(count, _ALL, np.uint32)
        rows.append(mask)
        for start, end in zip(starts, [*starts[1:], len(splits)], strict=True):
            mask = mask.copy()
            np.bitwise_and.at(mask, trees[start:end], verifier.keeps[splits[start:end], trees[start:end]])
            rows.append(mask)
    # Without any split all leaves stay.
    table = np.array(rows, np.uint32) if rows else np.full((0, count), _ALL, np.uint32)
    return _Masks(table, searched, verifier.values.ravel(), np.arange(count) * MOST_LEAVES - 1)
