"""Makes predicted qualities mean what they say: Platt's scaling on log-odds, held near the identity. Pure."""

from __future__ import annotations

import numpy as np

from services.router.quality.estimator import log_odds
from services.router.quality.features import Floats

# As if so many outcomes had already said that slope 1 and offset 0 are right.
_STRENGTH = 100.0
_STEPS = 25


def platt(raw: Floats, quality: Floats) -> tuple[float, float]:
    """(slope, offset) on the log-odds of `raw` [n] that fit `quality` [n] best, by Newton's method; NaN is left out."""
    known = ~np.isnan(quality)
    odds, truth = log_odds(raw[known]), quality[known]
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        found = 1 / (1 + np.exp(-(slope * odds + offset)))
        weight = found * (1 - found)
        pull = np.array(
            [
                ((found - truth) * odds).sum() + _STRENGTH * (slope - 1),
                (found - truth).sum() + _STRENGTH * 0.25 * offset,
            ]
        )
        cross = float((weight * odds).sum())
        bend = np.array(
            [
                [float((weight * odds * odds).sum()) + _STRENGTH, cross],
                [cross, float(weight.sum()) + _STRENGTH * 0.25],
            ]
        )
        step = np.linalg.solve(bend, pull)
        slope, offset = slope - float(step[0]), offset - float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    return slope, offset
