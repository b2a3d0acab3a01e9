"""How a model's own count differs from ours, learned from what providers report. Pure.

What a report has beyond our estimate is linear in what the count is made of (`Feature`): a share of each kind of
content, and some tokens per conversation, tool, message and call. The weights have a Gaussian prior around 0, so that
of what nothing was reported nothing is learned: a hundred English chats do not change how Chinese is counted. Errors
are taken as Student's t with 3 degrees of freedom, found by reweighted least squares (Lange, Little and Taylor, 1989),
because some requests carry what no estimate can know (a picture's size, a hidden prompt). A family of models learns
from all its members, and a model starts where its family is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from services.context.families import Feature, Tokens

Matrix = npt.NDArray[np.float64]
UNCALIBRATED = "uncalibrated"

# How far off we may be before the first report, as standard deviations: shares of content, tokens per thing.
_PRIOR = np.array(
    [
        *(0.1, 0.2, 0.3, 0.5, 0.5),  # texts by script
        *(1.0, 1.0, 0.5, 0.7, 1.0, 0.5),  # calls, ids, tools, schemas, hidden
        *(8.0, 300.0, 15.0, 8.0, 4.0, 4.0, 15.0, 10.0, 1_500.0, 15_000.0),  # per thing, conversations to files
    ]
)
# The noise of one report: a share of it, and some tokens.
_NOISE_SHARE, _NOISE_TOKENS = 0.01, 1.0
_FREEDOM, _ROUNDS = 3, 6
# What a calibrated upper bound has beyond the estimate, as a share; and tokens for what reports had beyond that.
_MARGIN, _EXACT_MARGIN = 0.08, 0.01
_HELD, _FEWEST_FOR_SPARE, _MOST_SPARE = 0.99, 16, 512.0
# Reports after which the weights that counts use are made anew: rarely, as each change may move a cut.
_PUBLISH_AFTER = tuple(2**power for power in range(7))
_PUBLISH_EVERY = 128


@dataclass(frozen=True, slots=True)
class Report:
    """One report: our uncalibrated estimate, what it was made of, and what the provider counted."""

    estimate: float
    features: tuple[float, ...]
    reported: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is added to counts of one model. `version` names it: the same version gives the same count.

    `spare`: tokens of a whole request's upper bound for what reports had beyond the others.
    """

    version: str = UNCALIBRATED
    weights: tuple[float, ...] = ()
    spare: int = 0

    def more(self, features: Sequence[float]) -> float:
        """The tokens that are added to an estimate made of these features."""
        return sum(weight * amount for weight, amount in zip(self.weights, features, strict=False) if amount)

    def applied(self, tokens: Tokens, *, is_exact: bool) -> Tokens:
        """The count, calibrated; its estimate is no longer whole. The bound only grows: ours holds without reports."""
        if not self.weights:
            return tokens
        estimate = tokens.estimate + self.more(tokens.features)
        bound = ceil(estimate * (1 + margin(is_exact=is_exact)))
        return Tokens(estimate, max(tokens.upper_bound, bound), tokens.features)


COLD = Calibration()


def margin(*, is_exact: bool) -> float:
    """What a calibrated bound has beyond the estimate, as a share of it."""
    return _EXACT_MARGIN if is_exact else _MARGIN


def learned(family: Sequence[Report], own: Sequence[Report], *, is_exact: bool) -> Calibration:
    """The calibration of a model from its family's reports and its own; COLD without any."""
    if not family and not own:
        return COLD
    nothing = np.zeros(len(Feature))
    weights = _fitted(own, _fitted(family, nothing))
    rounded = tuple(round(float(weight), 5) for weight in weights)
    spare = _spare(own if len(own) >= _FEWEST_FOR_SPARE else family, weights, margin(is_exact=is_exact))
    digest = hashlib.sha256(json.dumps([rounded, spare]).encode()).hexdigest()[:12]
    return Calibration(digest, rounded, spare)


def is_due(reports: int) -> bool:
    """Whether a calibration is made anew after so many reports."""
    return reports in _PUBLISH_AFTER or reports % _PUBLISH_EVERY == 0


def _fitted(reports: Sequence[Report], start: Matrix) -> Matrix:
    """The weights that explain the reports, from where they are expected."""
    if not reports:
        return start
    made_of, more, estimates = _arrays(reports)
    own = np.diag(_PRIOR**-2.0)
    noise = (_NOISE_SHARE * estimates) ** 2 + _NOISE_TOKENS**2
    weights = start
    for _ in range(_ROUNDS):
        off = (more - made_of @ weights) ** 2
        trust = (_FREEDOM + 1) / (_FREEDOM + off / noise) / noise
        precision = own + made_of.T @ (made_of * trust[:, None])
        weights = np.asarray(np.linalg.solve(precision, own @ start + made_of.T @ (more * trust)), np.float64)
    return weights


def _spare(reports: Sequence[Report], weights: Matrix, share: float) -> int:
    if len(reports) < _FEWEST_FOR_SPARE:
        return 0
    made_of, more, estimates = _arrays(reports)
    foretold = made_of @ weights
    beyond = more - foretold - share * (estimates + foretold)
    return ceil(min(_MOST_SPARE, max(0.0, float(np.quantile(beyond, _HELD, method="higher")))))


def _arrays(reports: Sequence[Report]) -> tuple[Matrix, Matrix, Matrix]:
    """(features, reported beyond the estimate, estimates)."""
    made_of = np.array([report.features for report in reports], np.float64)
    estimates = np.array([report.estimate for report in reports], np.float64)
    return made_of, np.array([report.reported for report in reports], np.float64) - estimates, estimates
