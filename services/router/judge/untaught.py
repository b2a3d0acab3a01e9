"""A verdict without training, by Bayes' rule: what is predicted of each model, and which answers say the same.

    P(answers | truth is v)  =  product over models of  p where it said v, (1 - p) / wrong ways where it did not

over all answers there may be, each as probable as the other before anybody spoke. Models err alike more often than that
supposes, so agreement is overrated here; training (learned.py) mends that. Pure.
"""

from __future__ import annotations

from math import prod

import numpy as np

from services.router.judge import Verdict
from services.router.judge.agreement import Asked, canonical

# How many ways there are to be wrong where the prompt lists no options.
_OPEN = 10


def by_agreement(asked: Asked) -> Verdict:
    """The likeliest answer so far, at its first place. Where one has no short form nothing can agree: the newest answer
    stands on what is predicted of its model."""
    good = [1 / (1 + float(np.exp(-prior))) for prior in asked.priors]
    said = [canonical(answer.short) for answer in asked.answers]
    if None in said:
        return Verdict(len(said) - 1, good[-1])
    wrong_ways = max(len(set(said)), asked.options - 1 if asked.options > 1 else _OPEN)

    def likelihood(truth: str | None) -> float:
        return prod(p if one == truth else (1 - p) / wrong_ways for p, one in zip(good, said, strict=True))

    each = {one: likelihood(one) for one in said}
    unsaid = (wrong_ways + 1 - len(each)) * likelihood(None)
    best = max(each, key=lambda one: each[one])
    return Verdict(said.index(best), each[best] / (sum(each.values()) + unsaid))
