"""Judging answers: rule checks, and one seam for what says how probably an answer is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.router.judge.agreement import Asked


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of the answers so far.

    `served`: the place of the best one. `good`: the probability that it is good, calibrated. `instead`: the quality
    expected of the dearest model's answer to the same prompt, knowing what the cheaper ones said; None: not foretold.
    """

    served: int
    good: float
    instead: float | None = None


class Verifier(Protocol):
    """Says how probably the best answer so far is good. None: unknown, which never counts as good."""

    def verdict(self, asked: Asked) -> Verdict | None:
        """The verdict on a request's answers so far, of which there is at least one."""
