"""Finds the ladder of models that saves most at the reference's quality, and fits the verifier that walks it.

Ladders grow one model at a time, at any place before the reference; each is played on all outcomes with verifiers that
had not seen the row, beside the single models, and scored as `quality.tuning` scores any way to choose. The one that
is kept is scored again with other folds: what the search picked by luck does not count twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.router.judge.learned import MOST_CALLS, Evidence, LearnedVerifier, patterns, rows, stacked
from services.router.quality.artefact import Escalation
from services.router.quality.estimator import log_odds
from services.router.quality.tuning import Tuned, rates_for, tune, weighed
from services.router.strategies.cascade import Ladder
from services.training.folds import folds
from services.training.verifier import Lesson, fit_step, foretold

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_FOLDS = 5
_SHRINKAGE = 5.0
# A model that costs more than this share of the reference has no place before it.
_DEAREST = 0.6
# So many pairs of models are tried, those first whose plain agreement would have saved most.
_TRIED = 6
# A gain that no rate of exchange makes up for.
_NEVER = -9.0
_MOST_BEFORE = min(3, MOST_CALLS)
# A further model must earn this much more, in saving weighed by its risk.
_WORTH = 0.01


@dataclass(frozen=True, slots=True)
class Played:
    """n outcomes: what is known before an answer, and what each of m models would answer."""

    ids: Sequence[str]
    foretold: Floats  # [n, m] quality
    expected: Floats  # [n, m] USD
    tasks: Floats  # [n, tasks]
    truth: Floats  # [n, tasks]
    in_tokens: Floats
    options: Floats
    answers: Sequence[Sequence[str | None]]
    out_tokens: Floats
    quality: Floats
    usd: Floats


@dataclass(frozen=True, slots=True)
class Plan:
    """Places of the models before the reference, in their order; no verdict before the `first`-th answer. `singles`:
    whether other models than the reference may be asked alone.
    """

    before: tuple[int, ...]
    first: int
    singles: bool


@dataclass(frozen=True, slots=True)
class _After:
    """After some answers: quality of the best, gain that is foretold for the reference, USD so far."""

    quality: Floats
    gain: Floats
    usd: Floats


@dataclass
class _Table:
    """Plays ladders on the outcomes; remembers what verifiers said after each beginning of one."""

    played: Played
    reference: int
    salt: str
    seen: dict[tuple[int, ...], _After] = field(default_factory=dict)
    tables_apart: dict[tuple[bool, int], Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.part = folds(self.played.ids, _FOLDS, self.salt)
        self.priors = log_odds(self.played.foretold)

    def evidence(self, calls: tuple[int, ...]) -> Evidence:
        played, chosen = self.played, list(calls)
        same, missing = stacked([[row[place] for place in chosen] for row in played.answers])
        return Evidence(
            self.priors[:, chosen],
            same,
            missing,
            played.out_tokens[:, chosen],
            self.priors[:, self.reference],
            self.priors.mean(axis=1),
            played.options,
            played.in_tokens,
            played.tasks,
        )

    def after(self, calls: tuple[int, ...]) -> _After:
        """What verifiers say that had not seen the row."""
        found = self.seen.get(calls)
        if found is None:
            lesson = self.lesson(calls)
            gain = np.zeros(len(lesson.pattern))
            for fold in range(_FOLDS):
                inside, outside = np.flatnonzero(self.part != fold), np.flatnonzero(self.part == fold)
                if len(outside):
                    gain[outside] = foretold(lesson, inside, outside)
            usd = self.played.usd[:, list(calls)].sum(axis=1)
            found = self.seen[calls] = _After(lesson.targets[:, 0], gain, usd)
        return found

    def lesson(self, calls: tuple[int, ...]) -> Lesson:
        """What there is to learn after these calls."""
        group, features = rows(self.evidence(calls))
        quality = self.played.quality[np.arange(len(features)), np.array(calls)[group.leader]]
        more = self.played.quality[:, self.reference] - quality
        return Lesson(patterns(group), 1 << (len(calls) + 1), features, np.stack([quality, more], axis=1))

    def walk(self, plan: Plan, rate: float) -> tuple[Floats, Floats]:
        """(quality, USD) of every row on the ladder."""
        before = plan.before
        quality = self.played.quality[:, self.reference].copy()
        usd = self.played.usd[:, [*before, self.reference]].sum(axis=1)
        live = np.ones(len(quality), bool)
        price = rate * self.played.expected[:, self.reference]
        for calls in range(plan.first, len(before) + 1):
            after = self.after(before[:calls])
            stops = live & (after.gain <= price)
            quality[stops], usd[stops] = after.quality[stops], after.usd[stops]
            live &= ~stops
        return quality, usd

    def tables(self, quality: Floats, usd: Floats, chosen: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Per task the ladder's gain over the reference and its USD, from the chosen rows."""
        truth = self.played.truth[chosen]
        number = truth.sum(axis=0) + _SHRINKAGE
        gain = (quality - self.played.quality[:, self.reference])[chosen]
        cost = usd[chosen]
        return (
            (truth.T @ gain + _SHRINKAGE * gain.mean()) / number,
            (truth.T @ cost + _SHRINKAGE * cost.mean()) / number,
        )

    def beside(self, plan: Plan, rate: float) -> tuple[Floats, Floats]:
        """(quality, USD) of every row where the ladder stands beside the single models, its tables cross-fitted."""
        quality, usd = self.walk(plan, rate)
        played = self.played
        single, together = np.zeros(played.quality.shape), np.zeros(len(quality))
        for fold in range(_FOLDS):
            outside = self.part == fold
            gain, cost = self.tables(quality, usd, ~outside)
            together[outside] = played.tasks[outside] @ (gain - rate * cost)
            single[outside] = played.tasks[outside] @ self.apart(plan.singles, fold)
        single -= rate * played.expected
        best, row = single.argmax(axis=1), np.arange(len(single))
        alone = single[row, best] >= together
        return (
            np.where(alone, played.quality[row, best], quality),
            np.where(alone, played.usd[row, best], usd),
        )

    def apart(self, others: bool, fold: int) -> Floats:  # noqa: FBT001
        """`singles` of the rows outside a fold; remembered, for it is the same on every ladder."""
        key = (others, fold)
        if key not in self.tables_apart:
            self.tables_apart[key] = self.singles(others, self.part != fold)
        return self.tables_apart[key]

    def singles(self, others: bool, chosen: npt.NDArray[np.bool_]) -> Floats:  # noqa: FBT001
        """Per task the gain of every single model over the reference, from the chosen rows; `others`: not its own."""
        truth, quality = self.played.truth[chosen], self.played.quality[chosen]
        gain = quality - quality[:, [self.reference]]
        table: Floats = (truth.T @ gain + _SHRINKAGE * gain.mean(axis=0)) / (truth.sum(axis=0)[:, None] + _SHRINKAGE)
        if not others:
            table[:, np.arange(table.shape[1]) != self.reference] = _NEVER
        return table

    def tuned(self, plan: Plan) -> Tuned:
        """The best rate on this ladder."""
        quality, usd = self.played.quality[:, self.reference], self.played.usd[:, self.reference]
        return tune(rates_for(float(usd.mean())), lambda rate: self.beside(plan, rate), quality, usd)


def find_escalation(
    played: Played, models: Sequence[str], reference: int, alone: Tuned
) -> tuple[Escalation | None, Tuned]:
    """The best ladder with its verifier, and how it did; None where none beats `alone`, choosing single models."""
    plan = _search(_Table(played, reference, "search"), reference)
    if plan is None:
        return None, alone
    table = _Table(played, reference, "again")
    found = table.tuned(plan)
    if found.value <= alone.value + _WORTH:
        return None, alone
    judged = range(plan.first, len(plan.before) + 1)
    steps = tuple(fit_step(table.lesson(plan.before[:calls])) for calls in judged)
    everywhere = np.ones(len(played.quality), bool)
    gain, cost = table.tables(*table.walk(plan, found.rate), everywhere)
    names = tuple(models[place] for place in (*plan.before, reference))
    ladder = Ladder(names, gain, cost, table.singles(plan.singles, everywhere))
    return Escalation(ladder, LearnedVerifier(plan.first, steps), found.rate), found


def _search(table: _Table, reference: int) -> Plan | None:
    means = table.played.usd.mean(axis=0)
    cheap = [place for place in range(len(means)) if means[place] < _DEAREST * means[reference]]
    pairs = sorted(
        ((one, other) for one in cheap for other in cheap if means[one] <= means[other] and one != other),
        key=lambda pair: (-agreeing(table.played, pair, reference).value, pair),
    )[:_TRIED]
    known = sorted({place for pair in pairs for place in pair})
    tried = [*_plans([(place,) for place in known]), *_plans(pairs), *_plans([pair[::-1] for pair in pairs])]
    best: Plan | None = None
    value = 0.0
    while tried:
        found, chosen = max(((table.tuned(plan).value, plan) for plan in tried), key=lambda pair: pair[0])
        if found < value + (_WORTH if best else 0.0) or found <= 0:
            break
        best, value = chosen, found
        tried = _plans(_longer(best.before, known)) if len(best.before) < _MOST_BEFORE else []
    return best


def agreeing(played: Played, pair: tuple[int, int], reference: int) -> Tuned:
    """What it would have saved to serve the first answer wherever these two agree, and the reference's elsewhere."""
    one, other = pair
    same = np.array([row[one] is not None and row[one] == row[other] for row in played.answers])
    base, usd = played.quality[:, reference], played.usd[:, reference]
    quality = np.where(same, played.quality[:, one], base)
    return weighed(0.0, quality, played.usd[:, [one, other]].sum(axis=1) + np.where(same, 0.0, usd), base, usd)


def _plans(ladders: Sequence[tuple[int, ...]]) -> list[Plan]:
    return [
        Plan(before, first, singles)
        for before in ladders
        for first in range(1, len(before) + 1)
        for singles in (False, True)
    ]


def _longer(before: tuple[int, ...], models: Sequence[int]) -> list[tuple[int, ...]]:
    """Every ladder of one model more."""
    return [
        (*before[:place], model, *before[place:])
        for model in models
        if model not in before
        for place in range(len(before) + 1)
    ]
