"""Which model is worth its price: the greatest quality minus rate x cost; or the cheapest that is good enough. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def choose(quality: Floats, cost_usd: Floats, rate: float) -> int:
    """The place of the best quality - rate x cost; the first of equals. `rate` is quality per USD, 0: quality alone."""
    return int(np.argmax(quality - rate * cost_usd))


def ordered(quality: Floats, cost_usd: Floats, rate: float) -> list[int]:
    """All places, the best worth first."""
    places: list[int] = np.argsort(rate * cost_usd - quality, kind="stable").tolist()
    return places


def cheapest_above(quality: Floats, cost_usd: Floats, threshold: float) -> list[int]:
    """All places: the good enough from cheap to dear, then the others from good to bad."""
    good = [place for place in np.argsort(cost_usd, kind="stable") if quality[place] >= threshold]
    poor = [place for place in np.argsort(-quality, kind="stable") if quality[place] < threshold]
    return [int(place) for place in (*good, *poor)]
