"""What was learned of some models, as arrays: their forecasts of one prompt are moved in a few products. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.router.quality.features import Floats


@dataclass(frozen=True, slots=True)
class Moved:
    """Of m models: forecast + whole [m] + tasks [m, cells] x shares + lines [m, places] x places; None: no lines."""

    whole: Floats
    tasks: Floats
    lines: Floats | None = None

    def of(self, forecast: Floats, shares: Floats, places: Floats) -> Floats:
        """The forecasts [m], moved."""
        found: Floats = forecast + self.whole + self.tasks @ shares
        if self.lines is not None:
            found += self.lines @ places[: self.lines.shape[1]]
        return found


@dataclass(frozen=True, slots=True)
class MovedBeside:
    """The same, and then those at `rows` are set beside the others: `weights` [rows, m] of their moved forecasts."""

    alone: Moved
    rows: npt.NDArray[np.int64]
    weights: Floats
    left: Moved

    def of(self, forecast: Floats, shares: Floats, places: Floats) -> Floats:
        """The forecasts [m], moved."""
        found, own = self.alone.of(forecast, shares, places), forecast[self.rows]
        beside = self.weights @ found - self.weights.sum(axis=1) * own
        found[self.rows] = self.left.of(own, shares, places) + beside
        return found
