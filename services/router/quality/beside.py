"""How a model that training did not know does beside others that were asked the same prompts. Pure.

    quality = forecast + weights x (what is foretold of the others - forecast) + a table of what that leaves

Most of the luck in an outcome is the prompt's: others fail at it, too. So its quality is set against theirs on the same
prompt, weighed by how well theirs told its own; a model that answers as a known one does is known after tens of
outcomes. The table is of the same prompts on both sides: what luck they had in common falls out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.router.quality.features import Floats
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import MEMORY, SHRINKAGE

# The variance of an outcome (about 0.2) over that of the weights, which are about 1 / models apart.
_PENALTY = 1.5
_MOST_OTHERS = 32
# One that was asked less often beside it than this says nothing: its mean is too uncertain to be set against.
_OFTEN = 0.5


@dataclass(frozen=True, slots=True)
class Standing:
    """What to add to a model's forecast: `left` + `weights` x (others' quality - its forecast).

    `left` and `means` hold what there is in each task, and last on the whole [cells + 1]; `means` is what others
    differed, for those that are not foretold now.
    """

    weights: Mapping[str, float]
    means: Mapping[str, Floats]
    left: Floats

    def beside(self, models: Collection[str]) -> Floats:
        """`left`, and what is known of the others that are none of these models [cells + 1]."""
        absent = [weight * self.means[name] for name, weight in self.weights.items() if name not in models]
        return sum(absent, self.left)


class Beside:
    """Of one model. All differences are to its own forecast."""

    def __init__(self, cells: int) -> None:
        self._others: list[str] = []
        self._ridge = StreamingRidge(0, _PENALTY)
        # [1 + others, cells + 1]: its own first; the last place is the whole.
        self._sums, self._numbers = np.zeros((1, cells + 1)), np.zeros((1, cells + 1))

    def learn(self, shares: Floats, difference: float, others: Mapping[str, float]) -> None:
        """One prompt: its tasks' probabilities [cells], what the quality differed, and what that of others did."""
        self._meet(others)
        here = np.array([True, *(name in others for name in self._others)])
        values = np.array([difference, *(others.get(name, 0.0) for name in self._others)])
        expected = self._means() @ np.append(shares, 1.0)
        weights = np.append(shares, 1.0)
        kept = 1 - weights / MEMORY
        self._sums, self._numbers = self._sums * kept, self._numbers * kept
        self._sums[here] += np.outer(values[here], weights)
        self._numbers[here] += weights
        often = self._often()
        if (often & here[1:]).any():
            row = np.where(here, values, expected)[1:]
            self._ridge.learn(np.where(often, row, 0.0), difference)

    def standing(self, whole: float, tasks: Floats) -> Standing:
        """What is known; `whole` and `tasks` [cells] are what all models have in common."""
        weights = np.where(self._often(), self._ridge.weights, 0.0)
        own = 1 - float(weights.sum())
        means = self._means()
        filled = self._sums + np.maximum(self._numbers[0] - self._numbers, 0.0) * _added_up(means)
        left, numbers = filled[0] - weights @ filled[1:], self._numbers[0]
        at_all = float((left[-1] + SHRINKAGE * own * whole) / (numbers[-1] + SHRINKAGE))
        apart = (left - numbers * at_all + SHRINKAGE * own * np.append(tasks, 0.0)) / (numbers + SHRINKAGE)
        apart[-1] = at_all
        return Standing(
            dict(zip(self._others, weights.tolist(), strict=True)),
            dict(zip(self._others, means[1:], strict=True)),
            apart,
        )

    def _often(self) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = self._numbers[1:, -1] > _OFTEN * self._numbers[0, -1]
        return found

    def _means(self) -> Floats:
        """[1 + others, cells + 1]: the mean of the whole, and what each task's differs from it."""
        whole = self._sums[:, -1:] / np.maximum(self._numbers[:, -1:], 1e-9)
        apart = (self._sums - self._numbers * whole) / (self._numbers + SHRINKAGE)
        apart[:, -1:] = whole
        return apart

    def _meet(self, others: Mapping[str, float]) -> None:
        new = [name for name in others if name not in self._others][: _MOST_OTHERS - len(self._others)]
        if not new:
            return
        self._others += new
        self._ridge.widen(len(new), _PENALTY)
        nothing = np.zeros((len(new), self._sums.shape[1]))
        self._sums, self._numbers = np.vstack([self._sums, nothing]), np.vstack([self._numbers, nothing])

    def state(self) -> tuple[list[str], Floats]:
        """(the others, everything that is known of them)."""
        return self._others, np.concatenate((self._ridge.state(), self._sums.ravel(), self._numbers.ravel()))

    @classmethod
    def restored(cls, others: list[str], state: Floats, cells: int) -> Beside:
        """The object of a state. Raises ValueError."""
        found, width = cls(cells), len(others)
        ridge, size = width * width + width, (1 + width) * (cells + 1)
        if state.shape != (ridge + 2 * size,) or not np.isfinite(state).all() or (state[ridge + size :] < 0).any():
            raise ValueError("not the state of such a model")
        found._others = list(others)
        found._ridge = StreamingRidge.restored(state[:ridge], width)
        found._sums = state[ridge : ridge + size].reshape(1 + width, cells + 1).copy()
        found._numbers = state[ridge + size :].reshape(1 + width, cells + 1).copy()
        return found


def _added_up(means: Floats) -> Floats:
    """Means of the whole and of each task, from the whole's and what tasks differ from it."""
    found = means + means[:, -1:]
    found[:, -1:] = means[:, -1:]
    return found
