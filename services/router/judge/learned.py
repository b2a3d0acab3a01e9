"""The learned verifier: priors, agreement and length of the answers so far, weighed by trees. Pure; plain arrays.

Two forecasts per number of answers: the quality of the best answer so far, and what the reference model's answer would
add. The second is fitted on the difference itself: two separate forecasts would differ by their noise, and escalating
on noise is what makes a cascade dear. Both begin with the mean of those who agreed in the same way, and only what lies
beyond it is left to a linear model and trees, half each: with a thousand outcomes either alone sees what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.router.judge import Verdict
from services.router.judge.agreement import Asked, Bools, Floats, Group, canonical, equal, grouped
from services.router.quality.trees import Forest, forest

# Raise it whenever a number of `rows` changes its meaning: artefacts of another version are refused.
VERSION: Final = 1
MOST_CALLS: Final = 4
_OF_THE_REQUEST, _OF_EACH = 10, 3
# How far, in standard deviations, a feature of the linear model may lie.
_FARTHEST = 4.0
_NUMBERS = ("means", "centre", "scale", "linear")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of n requests after k answers each; log-odds in `priors` [n, k], `reference` and `mean` [n]."""

    priors: Floats
    same: Bools
    missing: Bools
    tokens: Floats
    reference: Floats
    mean: Floats
    options: Floats
    in_tokens: Floats
    tasks: Floats


def width(calls: int, tasks: int) -> int:
    """Features after so many answers."""
    return _OF_THE_REQUEST + _OF_EACH * calls + tasks


def rows(evidence: Evidence) -> tuple[Group, npt.NDArray[np.float32]]:
    """(the leading groups, features [n, width])."""
    group = grouped(evidence.priors, evidence.same, evidence.missing, evidence.options)
    place = np.arange(len(evidence.priors))
    columns = [
        group.posterior,
        group.second,
        group.members.sum(axis=1),
        group.different,
        group.lost,
        evidence.reference,
        evidence.mean,
        evidence.options,
        np.log1p(evidence.in_tokens),
        evidence.priors[place, group.leader],
    ]
    for call in range(evidence.priors.shape[1]):
        columns += [evidence.priors[:, call], group.members[:, call], np.log1p(evidence.tokens[:, call])]
    return group, np.column_stack([*columns, evidence.tasks]).astype(np.float32)


def patterns(group: Group) -> npt.NDArray[np.int64]:
    """Who agrees with the leader, as a number per row: a bit per answer, and one more where the leader has none."""
    bits = np.column_stack([group.members, group.lost])
    found: npt.NDArray[np.int64] = bits @ (1 << np.arange(bits.shape[1]))
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """After one number of answers. `means` [patterns, 2]; `linear` [features + 1, 2] of standardised features; trees of
    two outputs: quality, and the reference's gain.
    """

    means: Floats
    centre: Floats
    scale: Floats
    linear: Floats
    trees: Forest

    def forecast(self, pattern: int, row: npt.NDArray[np.float32]) -> tuple[float, float]:
        """(quality of the best answer, what the reference's answer would add)."""
        lines = standardised(row, self.centre, self.scale) @ self.linear[:-1] + self.linear[-1]
        quality, gain = self.means[pattern] + (lines + self.trees.scores(row)) / 2
        return float(quality), float(gain)


def standardised(rows: npt.NDArray[np.float32], centre: Floats, scale: Floats) -> Floats:
    """Features [..., width] as the linear model reads them."""
    return np.clip((rows - centre) / scale, -_FARTHEST, _FARTHEST)


@dataclass(frozen=True, slots=True)
class LearnedVerifier:
    """`steps`: of each number of answers from `first` on. With fewer answers than `first` there is no verdict."""

    first: int
    steps: tuple[Step, ...]

    def verdict(self, asked: Asked) -> Verdict | None:
        """The verdict; None after fewer or more answers than it judges."""
        calls = len(asked.answers)
        if not self.first <= calls < self.first + len(self.steps):
            return None
        same, missing = equal([[canonical(answer.short) for answer in asked.answers]])
        group, row = rows(
            Evidence(
                priors=np.array([asked.priors], np.float64),
                same=same,
                missing=missing,
                tokens=np.array([[answer.tokens for answer in asked.answers]], np.float64),
                reference=np.array([asked.reference]),
                mean=np.array([asked.mean]),
                options=np.array([asked.options]),
                in_tokens=np.array([asked.in_tokens], np.float64),
                tasks=asked.tasks[None, :],
            )
        )
        quality, gain = self.steps[calls - self.first].forecast(int(patterns(group)[0]), row[0])
        good = min(1.0, max(0.0, quality))
        return Verdict(int(group.leader[0]), good, good + gain)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it."""
        kept: dict[str, npt.NDArray[np.generic]] = {
            "verifier_version": np.array([VERSION, self.first, len(self.steps)], np.int64)
        }
        for number, step in enumerate(self.steps, self.first):
            name = f"verifier{number}"
            kept |= {f"{name}_{field}": getattr(step, field) for field in _NUMBERS} | step.trees.arrays(name)
        return kept


def learned_verifier(arrays: Mapping[str, npt.NDArray[np.generic]], tasks: int) -> LearnedVerifier:
    """The verifier that an artefact keeps. Raises ValueError."""
    version, first, steps = (int(number) for number in arrays["verifier_version"].astype(np.int64))
    if version != VERSION or first < 1 or not 0 < steps <= MOST_CALLS:
        raise ValueError(f"verifier features of version {version}, not {VERSION}")
    return LearnedVerifier(first, tuple(_step(arrays, number, tasks) for number in range(first, first + steps)))


def _step(arrays: Mapping[str, npt.NDArray[np.generic]], calls: int, tasks: int) -> Step:
    name, features = f"verifier{calls}", width(calls, tasks)
    numbers = {field: arrays[f"{name}_{field}"].astype(np.float64) for field in _NUMBERS}
    shapes = {"means": (1 << (calls + 1), 2), "centre": (features,), "scale": (features,), "linear": (features + 1, 2)}
    trees = forest(arrays, name, features)
    if len(trees.firsts) != 2 or any(
        numbers[field].shape != shape or not np.isfinite(numbers[field]).all() for field, shape in shapes.items()
    ):
        raise ValueError(f"{name} does not fit")
    return Step(**numbers, trees=trees)


def stacked(answers: Sequence[Sequence[str | None]]) -> tuple[Bools, Bools]:
    """`equal` of raw answers."""
    return equal([[canonical(one) for one in row] for row in answers])
