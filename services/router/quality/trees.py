"""Boosted trees of at most eight leaves as plain arrays, evaluated whole. Pure; made only by `omnisphere train`.

Every split of every tree is asked at once; each one that fails strikes the leaves on its left out of its tree's bits,
and the lowest bit that is left is the leaf (QuickScorer, Lucchese et al., SIGIR 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_LEAVES: Final = 8
# Of every byte the place of its lowest bit that is set; of 0, which no tree leaves, the first leaf.
_LOWEST: Final = np.array([0, *((number & -number).bit_length() - 1 for number in range(1, 256))], np.int64)
_ONE: Final = np.uint8(1)


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of several outputs, in their order; `firsts` [outputs] is the first tree of each.

    Splits are [7, trees], padded with splits that always hold; a split holds when feature <= limit. `keeps`: the leaves
    that stay where it does not. `values` is [trees, 8].
    """

    features: npt.NDArray[np.int64]
    limits: npt.NDArray[np.float32]
    keeps: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float32]
    firsts: npt.NDArray[np.int64]
    # All leaves in a row, and where those of each tree begin.
    _leaves: Floats = field(init=False, repr=False, compare=False)
    _begins: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_leaves", self.values.astype(np.float64).ravel())
        object.__setattr__(self, "_begins", np.arange(len(self.values)) * MOST_LEAVES)

    def scores(self, row: npt.NDArray[np.float32]) -> Floats:
        """One number per output, of one row of features."""
        fails = row.take(self.features) > self.limits
        left = np.bitwise_and.reduce(self.keeps | (fails.view(np.uint8) - _ONE), axis=0)
        sums: Floats = np.add.reduceat(self._leaves.take(self._begins + _LOWEST.take(left)), self.firsts)
        return sums

    def arrays(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it, each under `name`."""
        return {
            f"{name}_features": self.features.astype(np.int16),
            f"{name}_limits": self.limits,
            f"{name}_keeps": self.keeps,
            f"{name}_values": self.values,
            f"{name}_firsts": self.firsts.astype(np.int32),
        }


def forest(arrays: Mapping[str, npt.NDArray[np.generic]], name: str, width: int) -> Forest:
    """The forest that an artefact keeps under `name`, for rows of `width` features. Raises ValueError."""
    found = Forest(
        features=arrays[f"{name}_features"].astype(np.int64),
        limits=arrays[f"{name}_limits"].astype(np.float32),
        keeps=arrays[f"{name}_keeps"].astype(np.uint8),
        values=arrays[f"{name}_values"].astype(np.float32),
        firsts=arrays[f"{name}_firsts"].astype(np.int64),
    )
    trees = len(found.values)
    fits = (
        found.features.shape == found.limits.shape == found.keeps.shape == (MOST_LEAVES - 1, trees)
        and found.values.shape == (trees, MOST_LEAVES)
        and found.firsts.ndim == 1
        and len(found.firsts) > 0
        and found.firsts[0] == 0
        and bool((np.diff(found.firsts) > 0).all())
        and found.firsts[-1] < trees
        and bool(((found.features >= 0) & (found.features < width)).all())
        and bool(np.isfinite(found.values).all())
    )
    if not fits:
        raise ValueError(f"the trees {name} do not fit together")
    return found
