"""How a model that training did not know does beside others that were asked the same prompts. Pure.

    quality = forecast + weights x (what is foretold of the others - forecast) + a table of what that leaves

Most of the luck in an outcome is the prompt's: others fail at it, too. So its quality is set against theirs on the same
prompt, weighed by how well theirs told its own; a model that answers as a known one does is known after tens of
outcomes. The table is of the same prompts on both sides: what luck they had in common falls out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.router.quality.features import Floats
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import MEMORY, SHRINKAGE, MovingTable

# The variance of an outcome (about 0.2) over that of the weights, which are about 1 / models apart.
_PENALTY = 1.5
_MOST_OTHERS = 32
# Before so many outcomes of the model itself others say nothing of it; twice as many, and they say three quarters.
_SILENT = 15
# One that was asked less often beside it than this says nothing: its mean is too uncertain to be set against.
_OFTEN = 0.5


@dataclass(frozen=True, slots=True)
class Standing:
    """What to add to a model's forecast: `left` + `weights` x (others' quality - its forecast).

    `left`, `numbers` and `means` hold what there is in each task, and last on the whole [cells + 1]. Of what all models
    have in common `own` is to be added, as far as `numbers` say little; `means` is what others differed, for those that
    are not foretold now. Others that count nothing are left out.
    """

    weights: Mapping[str, float]
    means: Mapping[str, Floats]
    left: Floats
    own: float
    numbers: Floats

    def added(self, absent: Iterable[str], common: Floats) -> Floats:
        """What to add beside the others, where these are not foretold and all models have so much in common."""
        found = sum((self.weights[name] * self.means[name] for name in absent), self.left)
        pull = common * self.own * SHRINKAGE / (self.numbers + SHRINKAGE)
        known = self.numbers[:-1] / (self.numbers[:-1] + SHRINKAGE)
        pull[:-1] -= known * pull[-1]  # what is added on the whole is not added in a task again
        return found + pull


class Beside:
    """Of one model: what the others differed from its forecast. What it did itself stands in its table."""

    def __init__(self, cells: int) -> None:
        self._places: dict[str, int] = {}
        self._ridge = StreamingRidge(0, _PENALTY)
        # [others, cells + 1]: the last place is the whole.
        self._sums, self._numbers = np.zeros((0, cells + 1)), np.zeros((0, cells + 1))

    def learn(self, shares: Floats, difference: float, others: Mapping[str, float], own: MovingTable) -> None:
        """One prompt: its tasks' probabilities [cells], what the quality differed, and what that of others did.

        `own` is the model's table, which has learned it.
        """
        self._meet(others)
        differences = {self._places[name]: of for name, of in others.items() if name in self._places}
        weights = np.append(shares, 1.0)
        kept = 1 - weights / MEMORY
        self._sums *= kept
        self._numbers *= kept
        for place, of in differences.items():
            self._sums[place] += weights * of
            self._numbers[place] += weights
        often = np.flatnonzero(self._often(own))
        if not differences.keys().isdisjoint(often.tolist()):
            self._ridge.learn(self._row(weights, differences, often), difference)

    def standing(self, own: MovingTable) -> Standing:
        """What is known, with the model's table."""
        weights = self._weights(own)
        means, numbers = self._means(), own.numbers
        filled = self._sums + np.maximum(numbers - self._numbers, 0.0) * _added_up(means)
        sums = own.sums - weights @ filled
        whole = sums[-1] / (numbers[-1] + SHRINKAGE)
        left = (sums - numbers * whole) / (numbers + SHRINKAGE)
        left[-1] = whole
        counted = {name: place for name, place in self._places.items() if weights[place]}
        return Standing(
            {name: float(weights[place]) for name, place in counted.items()},
            {name: means[place] for name, place in counted.items()},
            left,
            1 - float(weights.sum()),
            numbers,
        )

    def _weights(self, own: MovingTable) -> Floats:
        """[others]: less after few outcomes, and never more than all of one model: what is beyond that is luck."""
        found = np.where(self._often(own), self._ridge.weights, 0.0)
        sure = max(0.0, 1 - (_SILENT / max(own.outcomes, 1)) ** 2)
        weights: Floats = found * sure / max(1.0, float(np.abs(found).sum()))
        return weights

    def _row(self, weights: Floats, differences: Mapping[int, float], often: npt.NDArray[np.int64]) -> Floats:
        """What the others at places `often` differed [others]; what was to be expected of those that were not asked."""
        row = np.zeros(len(self._places))
        if any(place not in differences for place in often):
            row[often] = self._means()[often] @ weights
        for place in often:
            row[place] = differences.get(place, row[place])
        return row

    def _often(self, own: MovingTable) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = self._numbers[:, -1] > _OFTEN * own.numbers[-1]
        return found

    def _means(self) -> Floats:
        """[others, cells + 1]: the mean of the whole, and what each task's differs from it."""
        whole = self._sums[:, -1:] / np.maximum(self._numbers[:, -1:], 1e-9)
        apart = (self._sums - self._numbers * whole) / (self._numbers + SHRINKAGE)
        apart[:, -1:] = whole
        return apart

    def _meet(self, others: Mapping[str, float]) -> None:
        new = [name for name in others if name not in self._places][: _MOST_OTHERS - len(self._places)]
        if not new:
            return
        self._places |= {name: len(self._places) + number for number, name in enumerate(new)}
        self._ridge.widen(len(new), _PENALTY)
        nothing = np.zeros((len(new), self._sums.shape[1]))
        self._sums, self._numbers = np.vstack([self._sums, nothing]), np.vstack([self._numbers, nothing])


def _added_up(means: Floats) -> Floats:
    """Means of the whole and of each task, from the whole's and what tasks differ from it."""
    found = means + means[:, -1:]
    found[:, -1:] = means[:, -1:]
    return found
