"""Cheap models first, a dearer one only where their answers are not worth keeping. Pure: the caller asks and tells.

answers so far    verdict                              next
none              -                                    first model of the ladder
some              worth more than asking on            serve the best answer
some              asking on is worth its price         the next model of the ladder
all but the last  asking on is worth its price         the last model, whose answer is served
any               none (verifier failed, or unknown)   as if asking on were worth its price
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.router.judge import Verdict, Verifier
from services.router.judge.accept import accept
from services.router.judge.agreement import Answer, Asked

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Models from the first asked to the last, whose answer needs no verdict.

    `gain` and `cost_usd` [tasks]: what the whole ladder did in training, quality against the last model's and USD; with
    them it stands beside single models as one more candidate. `singles` [tasks, columns] is the gain of those, -9 where
    a model may not be asked alone: means of tasks as the ladder's are, for the best of many forecasts of single prompts
    is mostly luck.
    """

    models: tuple[str, ...]
    gain: Floats
    cost_usd: Floats
    singles: Floats

    def begins_with(self, models: Sequence[str]) -> bool:
        """Whether these are its first models in their order, and then its last one."""
        *asked, last = models
        return tuple(asked) == self.models[: len(asked)] and last == self.models[-1]

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it."""
        return {
            "ladder_models": np.array(self.models),
            "ladder_gain": self.gain,
            "ladder_cost": self.cost_usd,
            "ladder_singles": self.singles,
        }


@dataclass(frozen=True, slots=True)
class Taught:
    """What training says of one request's cascade: the ladder, its rate, and the USD expected of every column."""

    ladder: Ladder
    columns: tuple[str, ...]
    rate: float
    usd: Floats
    tasks: Floats

    @property
    def price_usd(self) -> float:
        """What asking the last model will probably cost."""
        return float(self.usd[self.columns.index(self.ladder.models[-1])])

    def alone(self, rate: float, may_be_asked: Callable[[str], bool]) -> str | None:
        """The single model that is worth at least as much as the ladder; None: walk the ladder."""
        may = np.array([may_be_asked(column) for column in self.columns])
        best = alone(self.ladder, self.usd, self.tasks, rate, may)
        return None if best is None else self.columns[best]


@dataclass(frozen=True, slots=True)
class State:
    """One request in a cascade. `models` of the ladder, their `priors` as log-odds; `price_usd`: of the last one.

    `mean`: the log-odds of all models that training knew.
    """

    models: Sequence[str]
    priors: Sequence[float]
    mean: float
    options: float
    in_tokens: int
    tasks: Floats
    price_usd: float
    answers: tuple[Answer, ...] = ()

    def with_answer(self, answer: Answer) -> State:
        """The state after the next model of the ladder has answered."""
        return replace(self, answers=(*self.answers, answer))

    def asked(self) -> Asked:
        """What a verifier is told."""
        calls = len(self.answers)
        return Asked(
            models=(*self.models[:calls], self.models[-1]),
            priors=self.priors[:calls],
            answers=self.answers,
            reference=self.priors[-1],
            mean=self.mean,
            options=self.options,
            in_tokens=self.in_tokens,
            tasks=self.tasks,
        )

    def takes(self, verdict: Verdict | None, rate: float) -> bool:
        """Whether the best answer so far is served, a dollar being worth `rate` in quality."""
        prior = 1 / (1 + float(np.exp(-self.priors[-1])))
        return accept(verdict, prior=prior, price_usd=self.price_usd, rate=rate)


@dataclass(frozen=True, slots=True)
class Step:
    """Ask `ask`, the place of a model in the ladder; or, where it is None, serve the answer of place `serve`."""

    ask: int | None
    serve: int | None
    verdict: Verdict | None = None


class Cascade:
    """A ladder, what judges its answers, and the rate of exchange (quality per USD)."""

    def __init__(self, ladder: Ladder, verifier: Verifier, rate: float) -> None:
        self.ladder = ladder
        self._verifier = verifier
        self._rate = rate

    def next(self, state: State) -> Step:
        """What to do with what is known."""
        asked, last = len(state.answers), len(self.ladder.models) - 1
        if not asked:
            return Step(0, None)
        if asked > last:
            return Step(None, last)
        verdict = self._verifier.verdict(state.asked())
        if verdict is not None and state.takes(verdict, self._rate):
            return Step(None, verdict.served, verdict)
        return Step(asked, None, verdict)


def alone(
    ladder: Ladder, cost_usd: Floats, tasks: Floats, rate: float, may: npt.NDArray[np.bool_] | None = None
) -> int | None:
    """The place of the single model [columns] that is worth at least as much as the ladder; None: walk the ladder.

    `may` [columns]: which models may be asked; None: all.
    """
    single = tasks @ ladder.singles - rate * cost_usd
    if may is not None:
        single = np.where(may, single, -np.inf)
    together = float(tasks @ (ladder.gain - rate * ladder.cost_usd))
    best = int(single.argmax())
    return best if single[best] >= together else None


def ladder(arrays: Mapping[str, npt.NDArray[np.generic]], columns: Sequence[str], tasks: int) -> Ladder:
    """The ladder that an artefact keeps. Raises ValueError."""
    models = tuple(str(name) for name in arrays["ladder_models"].tolist())
    gain, cost, singles = (arrays[f"ladder_{name}"].astype(np.float64) for name in ("gain", "cost", "singles"))
    known = set(columns)
    if len(models) < 2 or len(set(models)) != len(models) or any(model not in known for model in models):
        raise ValueError("the ladder names unknown models, or one twice")
    if gain.shape != (tasks,) or cost.shape != (tasks,) or not np.isfinite(gain + cost).all():
        raise ValueError("the ladder does not fit the tasks")
    if singles.shape != (tasks, len(columns)) or not np.isfinite(singles).all():
        raise ValueError("the ladder does not fit the columns")
    return Ladder(models, gain, cost, singles)
