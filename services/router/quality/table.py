"""How much better or worse a model does than foretold, on the whole and per task: shrunken means of a bounded past.

Mean = (5 x what others had + sum) / (5 + number): nothing known of a model is what the others had, tens of outcomes
move it; a task is a mean of what the whole leaves. Sums and numbers fade, so that no more than the last some hundred
outcomes count: a model that got worse is found out, however long it was good.
"""

from __future__ import annotations

import numpy as np

from services.router.quality.features import Floats

SHRINKAGE = 5.0
# How many outcomes the past weighs at most.
MEMORY = 150.0


class MovingTable:
    """Of one model: what its outcomes differed from the forecast, over all and in each of `cells` tasks."""

    def __init__(self, cells: int) -> None:
        self.outcomes = 0
        self.sums = np.zeros(cells + 1)  # the last place is the whole
        self.numbers = np.zeros(cells + 1)

    def learn(self, shares: Floats, difference: float) -> None:
        """One outcome: the tasks' probabilities [cells], and quality minus forecast, in [-1, 1]."""
        if not (np.isfinite(shares).all() and -1 <= difference <= 1):
            raise ValueError("a share is not finite, or the difference lies outside [-1, 1]")
        weights = np.append(shares, 1.0)
        kept = 1 - weights / MEMORY
        self.sums = self.sums * kept + weights * difference
        self.numbers = self.numbers * kept + weights
        self.outcomes += 1

    def whole(self, others: float) -> float:
        """What to add to any forecast, where other models had `others`."""
        return float((self.sums[-1] + SHRINKAGE * others) / (self.numbers[-1] + SHRINKAGE))

    def tasks(self, whole: float, others: Floats) -> Floats:
        """What to add to that in each task [cells], where other models had `others` [cells]."""
        left = self.sums[:-1] - self.numbers[:-1] * whole
        found: Floats = (left + SHRINKAGE * others) / (self.numbers[:-1] + SHRINKAGE)
        return found
