"""What checks of served answers teach: how sure the verifier must be in a namespace to keep its false-hit budget. Pure.

A hit hides its own label, so a share of them is checked, each with a known probability p, and a verdict counts 1/p
(Horvitz and Thompson, 1952): without it, hits that are checked more often would seem to be wrong more often. Verdicts
are gathered by confidence, and compared with the look-ups that came while hits of that confidence were served: what is
not served shows no mistakes. The threshold never falls below the one that was calibrated before; it is the lowest one
at which the wrong hits to be expected are within the budget of all look-ups.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_MOST_NAMESPACES = 10_000
_BINS = 64
# Look-ups that are remembered at full weight; then all counts are halved, so that old verdicts fade.
_HALVED_AFTER = 100_000
# What is not served gets a small share of the look-ups as credit: bad luck is not for ever.
_CREDIT = 0.02
Counts = npt.NDArray[np.float64]


@dataclass(slots=True)
class _Namespace:
    # Since the counts were last settled, and in all.
    look_ups: int = 0
    total: float = 0.0
    # By confidence: look-ups while it was served, and wrong hits.
    exposure: Counts = field(default_factory=lambda: np.zeros(_BINS))
    wrong: Counts = field(default_factory=lambda: np.zeros(_BINS))
    threshold: float = 0.0


class Thresholds:
    """Thresholds by namespace; beyond 10,000 namespaces the one that was silent longest starts anew."""

    def __init__(self, base: float, budget: float) -> None:
        self._base = base
        self._budget = budget
        self._namespaces: OrderedDict[bytes, _Namespace] = OrderedDict()

    def of(self, namespace: bytes) -> float:
        """The confidence that is needed."""
        known = self._namespaces.get(namespace)
        return self._base if known is None else max(self._base, known.threshold)

    def looked_up(self, namespace: bytes) -> None:
        """Count a look-up that could have been answered by meaning."""
        known = self._known(namespace)
        known.look_ups += 1
        if known.look_ups >= _HALVED_AFTER:
            self._settle(known)

    def checked(self, namespace: bytes, *, confidence: float, probability: float, wrong: bool) -> float:
        """Take up a verdict on a hit that was checked with this probability; the threshold that now holds."""
        known = self._known(namespace)
        if wrong:
            known.wrong[_bin(confidence)] += 1 / probability
        self._settle(known)
        return self.of(namespace)

    def learned(self, namespace: bytes) -> bytes:
        """What was learned about the namespace: exposure and wrong hits by confidence."""
        known = self._known(namespace)
        self._settle(known)
        return np.concatenate([known.exposure, known.wrong]).tobytes()

    def restore(self, namespace: bytes, learned: bytes) -> None:
        """Take up what an earlier process learned; what is not its shape is left out."""
        counts = np.frombuffer(learned if len(learned) == 2 * _BINS * 8 else b"", np.float64)
        if len(counts) and np.isfinite(counts).all():
            known = self._known(namespace)
            known.exposure, known.wrong = counts[:_BINS].copy(), counts[_BINS:].copy()
            self._settle(known)

    def _known(self, namespace: bytes) -> _Namespace:
        known = self._namespaces.get(namespace)
        if known is None:
            known = self._namespaces[namespace] = _Namespace(threshold=self._base)
            if len(self._namespaces) > _MOST_NAMESPACES:
                self._namespaces.popitem(last=False)
        else:
            self._namespaces.move_to_end(namespace)
        return known

    def _settle(self, known: _Namespace) -> None:
        served = _EDGES[1:] > max(self._base, known.threshold)
        known.exposure += np.where(served, 1.0, _CREDIT) * known.look_ups
        known.total += known.look_ups
        known.look_ups = 0
        if known.total >= _HALVED_AFTER:
            known.exposure, known.wrong, known.total = known.exposure / 2, known.wrong / 2, known.total / 2
        rates = known.wrong / np.maximum(known.exposure, 1.0)
        above = np.cumsum(rates[::-1])[::-1]
        too_many = np.flatnonzero(above > self._budget)
        lowest = 0.0 if not len(too_many) else float(_EDGES[too_many[-1] + 1])
        known.threshold = max(self._base, lowest)


_EDGES = np.linspace(0.0, 1.0, _BINS + 1)


def _bin(confidence: float) -> int:
    return min(_BINS - 1, max(0, int(confidence * _BINS)))
