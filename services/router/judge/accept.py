"""Whether an answer is taken, or a dearer model asked: the probability that it is good against the price. Pure."""

from __future__ import annotations

from services.router.judge import Verdict


def accept(verdict: Verdict | None, *, prior: float, price_usd: float, rate: float) -> bool:
    """Whether the best answer so far is served.

    Asking on is worth `instead` - `good` in quality, and `rate` x `price_usd` is what that may cost. `prior`: the
    quality expected of the dearer model where the verifier does not foretell it. No verdict is never a reason to take.
    """
    if verdict is None:
        return False
    instead = prior if verdict.instead is None else verdict.instead
    return instead - verdict.good <= rate * price_usd
