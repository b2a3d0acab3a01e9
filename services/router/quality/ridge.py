"""A linear model that learns one outcome at a time, exactly as if it had been fitted on all of them at once. Pure."""

from __future__ import annotations

import numpy as np

from services.router.quality.features import Floats


class StreamingRidge:
    """Least squares with a penalty on all weights; the inverse is kept up to date by Sherman and Morrison's formula."""

    def __init__(self, width: int, penalty: float) -> None:
        self._inverse = np.eye(width) / penalty
        self._moments = np.zeros(width)
        # Found when they are asked for; None: not since the last outcome.
        self._weights: Floats | None = None

    def learn(self, row: Floats, target: float) -> None:
        """One outcome: features [width] and what was to be foretold. NaN or infinity raises ValueError."""
        if not (np.isfinite(row).all() and np.isfinite(target)):
            raise ValueError("a feature or target is not finite")
        turned = self._inverse @ row
        self._inverse -= np.outer(turned, turned) / (1 + float(row @ turned))
        self._moments += row * target
        self._weights = None

    @property
    def weights(self) -> Floats:
        """[width]: what each feature counts; 0 before any outcome."""
        if self._weights is None:
            self._weights = self._inverse @ self._moments
        return self._weights

    def widen(self, by: int, penalty: float) -> None:
        """So many features more, as if they had been 0 until now."""
        width = len(self._moments)
        inverse = np.eye(width + by) / penalty
        inverse[:width, :width] = self._inverse
        self._inverse = inverse
        self._moments, self._weights = np.append(self._moments, np.zeros(by)), None
