"""How good each of several answers to one prompt probably is, given a verdict on the best of them. Pure."""

from __future__ import annotations

from services.router.judge import Verdict
from services.router.judge.agreement import Asked, canonical


def scores(asked: Asked, verdict: Verdict) -> list[float] | None:
    """A probability per answer: those that say what the best one says are as good as it is, the others share the rest.

    None where the best one has no short form: nothing can be compared with it.
    """
    said = [canonical(answer.short) for answer in asked.answers]
    best = said[verdict.served]
    if best is None:
        return None
    others = {one for one in said if one is not None} - {best}
    rest = (1 - verdict.good) / max(1, len(others))
    return [verdict.good if one == best else rest if one is not None else 0.0 for one in said]
