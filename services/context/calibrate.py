"""Learns from reports how far a provider's count is from our estimate. Pure.

What a report has beyond our estimate is linear in what the count is made of (`Feature`): a share of each kind of
content, and some tokens per conversation, tool, message and call. The weights have a Gaussian prior around 0, so that
of what nothing was reported nothing is learned: a hundred English chats do not change how Chinese is counted. Beside
that each piece of content (a message, a tool, a picture) is off by some tokens of its own, which are known once it was
reported: nobody can count a picture behind an address, or a prompt that a provider puts before a certain set of tools,
but the same one costs the same again.

All of it has parts that a whole family of models shares, that one wire format shares, that one model shares, and that
one model in one wire format has alone; so the first reports of a model tell nearly all, and those of its relatives
something. Together this is a Gaussian process (Rasmussen and Williams, 2006, chapter 2) with a sum of linear kernels.
Errors are taken as Student's t with 3 degrees of freedom, found by reweighting (Lange, Little and Taylor, 1989),
because some requests carry what no estimate can know.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, hypot

import numpy as np
import numpy.typing as npt

from services.context.families import Tokens

Matrix = npt.NDArray[np.float64]
UNCALIBRATED = "uncalibrated"


@dataclass(frozen=True, slots=True)
class _Prior:
    """What is believed before the first report.

    `doubts`: how far off we may be, as standard deviations: shares of content, then tokens per thing. `shared`: of the
    variance, what a family, a wire format, a model, and a model in a wire format share. `own`: how far off one piece
    of content is by itself, as a share of these. `noise`: of one report, as a share of it, and in tokens.
    """

    doubts: Matrix
    shared: tuple[float, float, float, float]
    own: float
    noise: tuple[float, float]


# Chosen by leaving out one of 1,495 recorded exchanges at a time (python -m bench.counting); a factor of 2 in any of
# them changes little.
_EXACT = _Prior(
    np.array(
        [
            *(0.01, 0.06, 0.03, 0.5, 0.2),  # texts by script
            *(0.5, 0.2),  # digits, numbers
            *(0.05, 0.2, 0.045, 0.2, 1.0),  # calls, ids, tools, schemas
            *(0.4, 0.25, 0.05),  # thoughts
            *(0.12, 0.035),  # pictures, pages
            *(15.0, 400.0, 1.0, 5.0, 1.0, 1.0, 4.0, 4.0, 1.0, 2.0, 18.0, 19.0, 48.0, 3.0, 8.0),
        ]
    ),
    shared=(0.3, 0.2, 0.3, 0.2),
    own=0.025,
    noise=(0.02, 0.3),
)
_FOREIGN = _Prior(
    np.array(
        [
            *(0.12, 0.1, 0.15, 0.5, 0.5),
            *(0.8, 0.8),
            *(1.0, 0.2, 0.4, 0.6, 0.8),
            *(0.2, 0.3, 0.6),
            *(0.05, 0.1),
            *(60.0, 400.0, 1.8, 3.0, 2.0, 1.0, 4.0, 15.0, 2.0, 20.0, 9.0, 1.2, 30.0, 20.0, 2.4),
        ]
    ),
    shared=(0.8, 0.1, 0.05, 0.05),
    own=0.05,
    noise=(0.005, 1.0),
)
_FREEDOM, _ROUNDS = 3, 5
# What a calibrated upper bound has beyond the estimate, as a share; and tokens for what reports had beyond that.
_MARGIN, _EXACT_MARGIN = 0.08, 0.01
_HELD, _FEWEST_FOR_SPARE, _MOST_SPARE = 0.99, 16, 512.0
# Pieces of content that are remembered, those that are off most.
_MOST_OFFSETS, _LEAST_OFFSET = 4_096, 0.3
# Reports after which the weights that counts use are made anew: rarely, as each change may move a cut.
_PUBLISH_AFTER = tuple(2**power for power in range(7))
_PUBLISH_EVERY = 128


@dataclass(frozen=True, slots=True)
class Report:
    """One report: our uncalibrated estimate, what it was made of, and what the provider counted.

    `pieces`: the key of each piece of content, and how far off it may be by itself, in tokens.
    """

    estimate: float
    features: tuple[float, ...]
    reported: float
    model: str = ""
    wire_format: str = ""
    pieces: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is added to counts of one model. `version` names it: the same version gives the same count.

    `offsets`: tokens for a piece of content by its key. `spare`: tokens of a whole request's upper bound for what
    reports had beyond the others.
    """

    version: str = UNCALIBRATED
    weights: tuple[float, ...] = ()
    spare: int = 0
    offsets: Mapping[str, float] = field(default_factory=dict)

    def more(self, features: Sequence[float]) -> float:
        """The tokens that are added to an estimate made of these features."""
        return sum(weight * amount for weight, amount in zip(self.weights, features, strict=False) if amount)

    def applied(self, tokens: Tokens, *, is_exact: bool) -> Tokens:
        """The count, calibrated; its estimate is no longer whole. The bound only grows: ours holds without reports."""
        if not self.weights:
            return tokens
        estimate = (
            tokens.estimate + self.more(tokens.features) + sum(self.offsets.get(key, 0.0) for key, _ in tokens.pieces)
        )
        bound = ceil(estimate * (1 + margin(is_exact=is_exact)))
        return Tokens(estimate, max(tokens.upper_bound, bound), tokens.features, tokens.pieces)


COLD = Calibration()


def margin(*, is_exact: bool) -> float:
    """What a calibrated bound has beyond the estimate, as a share of it."""
    return _EXACT_MARGIN if is_exact else _MARGIN


def doubt_of(features: Sequence[float], *, is_exact: bool) -> float:
    """How far off a piece of content made of these features may be by itself, in tokens."""
    prior, doubts = (_EXACT, _EXACT_DOUBTS) if is_exact else (_FOREIGN, _FOREIGN_DOUBTS)
    return prior.own * hypot(*(doubt * amount for doubt, amount in zip(doubts, features, strict=True) if amount))


def own_share(*, is_exact: bool) -> float:
    """How far off one piece of content is by itself, as a share of how far off its kind may be."""
    return (_EXACT if is_exact else _FOREIGN).own


_EXACT_DOUBTS, _FOREIGN_DOUBTS = tuple(map(float, _EXACT.doubts)), tuple(map(float, _FOREIGN.doubts))


def learned(reports: Sequence[Report], model: str, wire_format: str = "", *, is_exact: bool) -> Calibration:
    """The calibration of a model in a wire format from its family's reports; COLD without any."""
    if not reports:
        return COLD
    prior = _EXACT if is_exact else _FOREIGN
    made_of, more, estimates = _arrays(reports)
    pieces, doubts = _pieces(reports)
    scaled = made_of * prior.doubts
    parts = pieces * np.array([*doubts.values()])
    kinds = [(report.model, report.wire_format) for report in reports]
    covariance = _shared(kinds, kinds, prior) * (scaled @ scaled.T + parts @ parts.T)
    noise = (prior.noise[0] * estimates) ** 2 + prior.noise[1] ** 2
    trusted = noise
    for _ in range(_ROUNDS - 1):
        pull = np.linalg.solve(covariance + np.diag(trusted), more)
        trusted = noise * (_FREEDOM + (trusted * pull) ** 2 / noise) / (_FREEDOM + 1)
    precision = np.linalg.inv(covariance + np.diag(trusted))
    pull = precision @ more
    towards = pull * _shared([(model, wire_format)], kinds, prior)[0]
    weights = tuple(round(float(weight), 5) for weight in prior.doubts * (scaled.T @ towards))
    offsets = dict(zip(doubts, np.array([*doubts.values()]) * (parts.T @ towards), strict=True))
    # What each report had beyond what all others foretell.
    beyond = pull / np.diag(precision)
    spare = _spare(beyond, estimates + more - beyond, margin(is_exact=is_exact))
    return _published(weights, offsets, spare)


def is_due(reports: int) -> bool:
    """Whether a calibration is made anew after so many reports."""
    return reports in _PUBLISH_AFTER or reports % _PUBLISH_EVERY == 0


def _published(weights: tuple[float, ...], offsets: Mapping[str, float], spare: int) -> Calibration:
    known = sorted(offsets, key=lambda key: (-abs(offsets[key]), key))[:_MOST_OFFSETS]
    kept = {key: round(float(offsets[key]), 2) for key in known if abs(offsets[key]) >= _LEAST_OFFSET}
    digest = hashlib.sha256(json.dumps([weights, spare, kept], sort_keys=True).encode()).hexdigest()[:12]
    return Calibration(digest, weights, spare, kept)


def _shared(these: Sequence[tuple[str, str]], those: Sequence[tuple[str, str]], prior: _Prior) -> Matrix:
    """How much each of `these` (model, wire format) has in common with each of `those`."""
    left, right = np.array(these), np.array(those)
    same = (left[:, None, :] == right[None, :, :]).astype(np.float64)
    model, wire_format = same[..., 0], same[..., 1]
    of_family, of_format, of_model, of_both = prior.shared
    shared: Matrix = of_family + of_format * wire_format + of_model * model + of_both * model * wire_format
    return shared


def _pieces(reports: Sequence[Report]) -> tuple[Matrix, dict[str, float]]:
    """(how often each report has each piece, how far off each piece may be)."""
    doubts: dict[str, float] = {}
    places: dict[str, int] = {}
    for report in reports:
        for key, doubt in report.pieces:
            doubts[key] = doubt
            places.setdefault(key, len(places))
    counts = np.zeros((len(reports), len(places)))
    for row, report in enumerate(reports):
        for key, _ in report.pieces:
            counts[row, places[key]] += 1
    return counts, doubts


def _spare(beyond: Matrix, foretold: Matrix, share: float) -> int:
    if len(beyond) < _FEWEST_FOR_SPARE:
        return 0
    over = beyond - share * foretold
    return ceil(min(_MOST_SPARE, max(0.0, float(np.quantile(over, _HELD, method="higher")))))


def _arrays(reports: Sequence[Report]) -> tuple[Matrix, Matrix, Matrix]:
    """(features, reported beyond the estimate, estimates)."""
    made_of = np.array([report.features for report in reports], np.float64)
    estimates = np.array([report.estimate for report in reports], np.float64)
    return made_of, np.array([report.reported for report in reports], np.float64) - estimates, estimates
