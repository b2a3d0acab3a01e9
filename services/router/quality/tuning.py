"""How much quality a saved dollar may cost: the rate of exchange that saves most, weighed by the risk of a regression.

Every choice is scored on outcomes that the predictor had not seen. Of each rate the change of quality against the
reference model is known with an error; what counts is the saving times the probability that the next window of
requests shows no more than the tolerated loss. A rate that just scrapes by on the past earns half of its saving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

from services.router.quality.features import Floats

# Half a point may be lost: below what 10,000 graded prompts could tell from nothing.
TOLERATED_LOSS = 0.005
# The next window is twice as large as what was learned from.
NEXT_WINDOW = 2.0
# A way to choose that keeps within the tolerated loss less probably than this is none.
SAFE_ENOUGH = 0.65


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a rate did in the past. `value` = saving x `safe`; 0 where nothing qualified, and `rate` is then 0."""

    rate: float
    saving: float
    change: float
    safe: float

    @property
    def value(self) -> float:
        """Saving, weighed by its risk; 0 where the risk is too great."""
        return self.saving * self.safe if self.safe >= SAFE_ENOUGH else 0.0


NOTHING = Tuned(0.0, 0.0, 0.0, 1.0)


def weighed(rate: float, quality: Floats, cost: Floats, reference_quality: Floats, reference_cost: Floats) -> Tuned:
    """The figures of one way to choose; quality and cost [n] of what was chosen, and of the reference model."""
    change = quality - reference_quality
    error = sqrt(float(change.var()) / len(change) * (1 + 1 / NEXT_WINDOW)) or 1e-9
    mean = float(change.mean())
    safe = 0.5 * (1 + erf((mean + TOLERATED_LOSS) / error / sqrt(2)))
    return Tuned(rate, 1 - float(cost.sum()) / float(reference_cost.sum()), mean, safe)


def tune(
    rates: Iterable[float],
    chosen: Callable[[float], tuple[Floats, Floats]],
    reference_quality: Floats,
    reference_cost: Floats,
) -> Tuned:
    """The best of `rates`; `chosen` gives quality and cost [n] of what a rate chooses. NOTHING if none saves."""
    best = NOTHING
    for rate in rates:
        found = weighed(rate, *chosen(rate), reference_quality, reference_cost)
        if found.value > best.value:
            best = found
    return best


def rates_for(reference_cost: float) -> Floats:
    """Rates (quality per USD) from one that ignores money to one that ignores quality, for that mean cost in USD."""
    rates: Floats = np.geomspace(1e-3, 3.0, 80) / max(reference_cost, 1e-12)
    return rates
