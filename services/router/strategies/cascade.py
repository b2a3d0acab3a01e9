"""Cheap models first, a dearer one only where their answers are not worth keeping. Pure: the caller asks and tells.

answers so far    verdict                              next
none              -                                    first model of the ladder
some              worth more than asking on            serve the best answer
some              asking on is worth its price         the next model of the ladder
all but the last  asking on is worth its price         the last model, whose answer is served
any               none (verifier failed, or unknown)   as if asking on were worth its price
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it."""
        return {
            "ladder_models": np.array(self.models),
            "ladder_gain": self.gain,
            "ladder_cost": self.cost_usd,
            "ladder_singles": self.singles,
        }


@dataclass(frozen=True, slots=True)
class State:
    """One request in a cascade. `priors`: log-odds per model of the ladder; `price_usd`: of the last model."""

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
        verdict = self._verifier.verdict(
            Asked(
                priors=state.priors[:asked],
                answers=state.answers,
                reference=state.priors[last],
                mean=state.mean,
                options=state.options,
                in_tokens=state.in_tokens,
                tasks=state.tasks,
            )
        )
        prior = 1 / (1 + float(np.exp(-state.priors[last])))
        if verdict is not None and accept(verdict, prior=prior, price_usd=state.price_usd, rate=self._rate):
            return Step(None, verdict.served, verdict)
        return Step(asked, None, verdict)


def alone(ladder: Ladder, cost_usd: Floats, tasks: Floats, rate: float) -> int | None:
    """The place of the single model [columns] that is worth at least as much as the ladder; None: walk the ladder."""
    single = tasks @ ladder.singles - rate * cost_usd
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
