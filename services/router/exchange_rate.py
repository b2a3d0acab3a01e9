"""What a dollar is worth in quality: so much that choices of late are predicted to be as good as the reference. Pure.

A rate that holds for one request alone would let every request be answered by the dearest model that its prediction
favours; over a window, a request where a cheap model is as good makes up for nothing, and one where it is better pays
for one where it is a little worse. That is what routing earns. Predictions move while outcomes are learned, so what is
saved must hold for the whole window and for its newest part alone.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_WINDOW, _LATELY, _EVERY, _LEAST = 256, 64, 32, 32
# Per USD, from one that ignores money to one that ignores quality: a request costs 1e-6 to 1 USD.
_RATES = np.concatenate(([0.0], np.geomspace(1e-2, 1e6, 97)))


class ExchangeRate:
    """The rate of one policy for one tenant, or for all that taught nothing: what moves a tenant's predictions moves no
    other one's choices. Not shared between processes.
    """

    def __init__(self) -> None:
        # Per request: the quality at each rate, and what the reference would have had.
        self._recent: deque[tuple[Floats, float]] = deque(maxlen=_WINDOW)
        self._since = 0
        self._rate: float | None = None

    def copy(self) -> ExchangeRate:
        """One to ask without a trace in this one."""
        other = ExchangeRate()
        other._recent, other._since, other._rate = self._recent.copy(), self._since, self._rate
        return other

    def of(self, quality: Floats, cost_usd: Floats, reference: float) -> float:
        """The rate for a request of these predictions, whose reference is predicted to have quality `reference`."""
        chosen = (quality - _RATES[:, None] * cost_usd).argmax(axis=1)
        self._recent.append((quality.take(chosen), reference))
        self._since += 1
        if len(self._recent) < _LEAST:
            return _highest(self._recent[-1][0], reference)
        if self._rate is None or self._since >= _EVERY:
            self._since = 0
            at_rates = np.stack([at for at, _ in self._recent])
            wanted = np.array([one for _, one in self._recent])
            self._rate = min(
                _highest(at_rates[-number:].mean(axis=0), float(wanted[-number:].mean()))
                for number in (_WINDOW, _LATELY)
            )
        return self._rate


def _highest(at_rates: Floats, wanted: float) -> float:
    """The highest rate up to which the quality is at least the wanted one; quality falls as the rate rises."""
    below = np.flatnonzero(at_rates < wanted - 1e-12)
    return float(_RATES[max(0, (below[0] if len(below) else len(_RATES)) - 1)])
