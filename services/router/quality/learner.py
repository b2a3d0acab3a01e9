"""What a tenant's outcomes taught since the last training. Not thread-safe.

An outcome says two things: how hard these prompts are here, for whoever answers, and how good this model is. So what a
model did is shrunken to what the others did, and one of which nothing is known has what all had:

    common = sum over models of their shrunken means / (sum of their trust + 0.2)

0.2: how hard prompts are differs more from place to place than models do. Without it a model would gain on another for
nothing but having been asked what is easy.

A model that training did not know is set beside the others that were asked the same prompt, too: see beside.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.router.quality.beside import Beside, Standing
from services.router.quality.features import Floats
from services.router.quality.offsets import Moved, MovedBeside
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import SHRINKAGE, MovingTable

# The linear part of a model hears of its outcomes from so many on, speaks when there were twice as many, and moves
# slowly. It takes 5 kB, and most models of most tenants never come so far.
_HEARS, _SPEAKS, _PENALTY = 25, 50, 30.0
# What is common to all is found anew after so many outcomes, and when it is asked for: a start plays tens of thousands.
_EVERY = 16
# A learner knows at most so many models; the one that was longest not heard of is forgotten.
_MOST_MODELS = 200
_APART = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """A prompt that a model was asked: its tasks' probabilities [cells], its coordinates, and what was foretold.

    `trained`: whether training knew the model, so that the forecast is of itself and not of its like.
    """

    shares: Floats
    places: Floats
    forecast: float
    trained: bool = True


@dataclass(slots=True)
class _Model:
    """What is known of one, by its outcomes alone."""

    table: MovingTable
    ridge: StreamingRidge | None = None


class Learner:
    """A moving table per model, and a streaming ridge of `places` coordinates on what it leaves."""

    def __init__(self, cells: int, places: int) -> None:
        self._cells, self._places = cells, places
        self._models: OrderedDict[str, _Model] = OrderedDict()
        # Of those that training did not know and that were asked beside others, and what is known of them.
        self._besides: dict[str, Beside] = {}
        self._standings: dict[str, Standing] = {}
        # Outcomes of the prompt that was learned last.
        self._together: dict[str, tuple[Seen, float]] = {}
        self._prompt = b""
        self._whole, self._tasks = 0.0, np.zeros(cells)
        # Outcomes since then.
        self._since = 0
        self._asked: Sequence[str] = ()
        self._moved: Moved | MovedBeside | None = None

    def learn(self, model: str, seen: Seen, difference: float) -> None:
        """One outcome: quality minus what was foretold before this learner. All of one prompt come in a row."""
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = _Model(MovingTable(self._cells))
        self._models.move_to_end(model)
        if len(self._models) > _MOST_MODELS:
            forgotten, _ = self._models.popitem(last=False)
            self._besides.pop(forgotten, None)
            self._standings.pop(forgotten, None)
        if known.ridge is None and known.table.outcomes >= _HEARS:
            known.ridge = StreamingRidge(self._places, _PENALTY)
        if known.ridge is not None:
            if self._since >= _EVERY:
                self._find_common()
            known.ridge.learn(seen.places[: self._places], difference - self._by_table(known.table, seen.shares))
        known.table.learn(seen.shares, difference)
        prompt = seen.shares.tobytes() + seen.places.tobytes()
        if model in self._together or prompt != self._prompt:
            self._set_beside()
        self._prompt, self._together[model] = prompt, (seen, difference)
        self._standings.pop(model, None)
        self._since += 1
        self._moved = None

    def moved(self, models: Sequence[str], forecast: Floats, shares: Floats, places: Floats) -> Floats:
        """The forecasts of models [m], with everything added; those unknown to training set beside the others."""
        if self._moved is None or models is not self._asked:  # the same ones are mostly asked for again
            self._asked, self._moved = models, self._all_of(models)
        return self._moved.of(forecast, shares, places)

    def outcomes(self, model: str) -> int:
        """How many were learned of a model."""
        known = self._models.get(model)
        return known.table.outcomes if known is not None else 0

    def _set_beside(self) -> None:
        """What the models that training did not know did beside the others."""
        quality = {model: seen.forecast + difference for model, (seen, difference) in self._together.items()}
        for model, (seen, difference) in self._together.items():
            beside = self._besides.get(model)
            if seen.trained or model not in self._models or (beside is None and len(quality) == 1):
                continue
            if beside is None:
                beside = self._besides[model] = Beside(self._cells)
            others = {name: of - seen.forecast for name, of in quality.items() if name != model}
            beside.learn(seen.shares, difference, others, self._models[model].table)
            self._standings.pop(model, None)
        self._together.clear()

    def _standing(self, model: str) -> Standing:
        found = self._standings.get(model)
        if found is None:
            found = self._standings[model] = self._besides[model].standing(self._models[model].table)
        return found

    def _all_of(self, models: Sequence[str]) -> Moved | MovedBeside:
        self._set_beside()  # tables have learned the last prompt: the others' side of it may not be missing
        self._find_common()
        whole, tasks = np.full(len(models), self._whole), np.tile(self._tasks, (len(models), 1))
        lines = np.zeros((len(models), self._places))
        for place, model in enumerate(models):
            known = self._models.get(model)
            if known is None:
                continue
            whole[place] = known.table.whole(self._whole)
            tasks[place] = known.table.tasks(float(whole[place]), self._tasks)
            if known.ridge is not None and known.table.outcomes >= _SPEAKS:
                lines[place] = known.ridge.weights
        alone = Moved(whole, tasks, lines)
        rows = [place for place, model in enumerate(models) if model in self._besides]
        if not rows:
            return alone
        weights, left = np.zeros((len(rows), len(models))), np.zeros((len(rows), self._cells + 1))
        places, common = {model: place for place, model in enumerate(models)}, np.append(self._tasks, self._whole)
        for number, row in enumerate(rows):
            standing = self._standing(models[row])
            for name, weight in standing.weights.items():
                if name in places:
                    weights[number, places[name]] = weight
            left[number] = standing.added([name for name in standing.weights if name not in places], common)
        return MovedBeside(alone, np.array(rows), weights, Moved(left[:, -1], left[:, :-1]))

    def _by_table(self, table: MovingTable, shares: Floats) -> float:
        whole = table.whole(self._whole)
        return whole + float(shares @ table.tasks(whole, self._tasks))

    def _find_common(self) -> None:
        """What all models have in common, on the whole and [cells] in each task, where outcomes came since."""
        if not self._since:
            return
        self._since = 0
        sums, numbers = (
            np.array([getattr(known.table, name) for known in self._models.values()]) for name in ("sums", "numbers")
        )
        known = numbers + SHRINKAGE
        trust = _APART + (numbers / known).sum(axis=0)
        self._whole = float((sums[:, -1] / known[:, -1]).sum() / trust[-1])
        wholes = (sums[:, -1:] + SHRINKAGE * self._whole) / known[:, -1:]
        apart = (sums[:, :-1] - numbers[:, :-1] * wholes) / known[:, :-1]
        self._tasks = apart.sum(axis=0) / trust[:-1]
