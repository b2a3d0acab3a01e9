"""How much of what the best of many ways to choose shows is luck.

Many ways are tried on the same outcomes, and the best of them is best there by chance too. So each fold asks: which way
would have been taken without me, what did it promise, and what did it do on my rows? What is promised beyond that is
luck, and is taken off the promise of the way that is taken in the end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.router.quality.tuning import judged

Floats = npt.NDArray[np.float64]
Parts = npt.NDArray[np.int64]


class Trials:
    """Ways to choose, all tried on the same n outcomes; `part` [n] is the fold of each."""

    def __init__(self, part: Parts, reference_quality: Floats, reference_cost: Floats) -> None:
        self._part = part
        self._quality = reference_quality
        self._folds = int(part.max()) + 1
        self._rows = self._by_fold(np.ones(len(part)))
        self._cost = self._by_fold(reference_cost)
        self._tried: list[tuple[Floats, Floats, Floats]] = []

    def add(self, quality: Floats, cost: Floats) -> None:
        """One more way: quality and cost [n] of what it chose."""
        change = quality - self._quality
        self._tried.append((self._by_fold(change), self._by_fold(change * change), self._by_fold(cost)))

    def luck(self) -> float:
        """By how much the best way's change of quality looks better than it is; 0 where that cannot be seen."""
        promised = kept = rows = 0.0
        for fold in range(self._folds):
            best, value = None, 0.0
            outside = np.arange(self._folds) != fold
            number = float(self._rows[outside].sum())
            for change, square, cost in self._tried:
                mean = float(change[outside].sum()) / number
                spread = float(square[outside].sum()) / number - mean * mean
                saving = 1 - float(cost[outside].sum()) / float(self._cost[outside].sum())
                found = judged(0.0, int(number), mean, spread, saving)
                if found.value > value:
                    best, value = (mean, float(change[fold])), found.value
            if best is not None:
                promised += best[0] * self._rows[fold]
                kept += best[1]
                rows += self._rows[fold]
        return max(0.0, float(promised - kept) / float(rows)) if rows else 0.0

    def _by_fold(self, values: Floats) -> Floats:
        sums: Floats = np.bincount(self._part, values, minlength=self._folds).astype(np.float64)
        return sums
