"""What outcomes taught since the last training, one learner for everybody and one per tenant. Not thread-safe.

An outcome says two things: how hard these prompts are here, for whoever answers, and how good this model is. So what a
model did is shrunken to what the others did, and one of which nothing is known has what all had:

    common = sum over models of their shrunken means / (sum of their trust + 0.2)

0.2: how hard prompts are differs more from place to place than models do. Without it a model would gain on another for
nothing but having been asked what is easy.

A model that training did not know is set beside the others that were asked the same prompt, too: see beside.py.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.router.quality.beside import Beside, Standing
from services.router.quality.features import Floats
from services.router.quality.offsets import Moved, MovedBeside
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import MovingTable

# The linear part starts to speak when it has heard this much, and moves slowly.
_SILENT, _PENALTY = 50, 30.0
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


class Learner:
    """Moving tables per model, and where `places` is above 0 a streaming ridge on what they leave."""

    def __init__(self, cells: int, places: int = 0) -> None:
        self._cells, self._places = cells, places
        self._models: OrderedDict[str, tuple[MovingTable, StreamingRidge | None]] = OrderedDict()
        # Of those that training did not know and that were asked beside others, and what is known of them.
        self._besides: dict[str, Beside] = {}
        self._standings: dict[str, Standing] = {}
        # Outcomes of the prompt that was learned last.
        self._together: dict[str, tuple[Seen, float]] = {}
        self._prompt = b""
        self._whole, self._tasks = 0.0, np.zeros(cells)
        # Found when it is asked for: a start plays outcomes by the ten thousand.
        self._stale = False
        self._asked: Sequence[str] = ()
        self._moved: Moved | MovedBeside | None = None

    @property
    def has_learned(self) -> bool:
        """Whether there was any outcome."""
        return bool(self._models)

    def learn(self, model: str, seen: Seen, difference: float) -> None:
        """One outcome: quality minus what was foretold before this learner. All of one prompt come in a row."""
        table, ridge = self._models.setdefault(model, self._fresh())
        self._models.move_to_end(model)
        if len(self._models) > _MOST_MODELS:
            forgotten, _ = self._models.popitem(last=False)
            self._besides.pop(forgotten, None)
            self._standings.pop(forgotten, None)
        if ridge is not None:
            self._find_common()
            ridge.learn(seen.places[: self._places], difference - self._by_table(table, seen.shares))
        table.learn(seen.shares, difference)
        prompt = seen.shares.tobytes() + seen.places.tobytes()
        if model in self._together or prompt != self._prompt:
            self._set_beside()
        self._prompt, self._together[model] = prompt, (seen, difference)
        self._standings.pop(model, None)
        self._stale, self._moved = True, None

    def offset(self, model: str, shares: Floats, places: Floats) -> float:
        """What to add to the forecast of a model, by its own outcomes and what all have in common."""
        self._find_common()
        known = self._models.get(model)
        if known is None:
            return self._whole + float(shares @ self._tasks)
        table, ridge = known
        found = self._by_table(table, shares)
        if ridge is not None and table.outcomes >= _SILENT:
            found += ridge.predict(places[: self._places])
        return found

    def moved(self, models: Sequence[str], forecast: Floats, shares: Floats, places: Floats) -> Floats:
        """The forecasts of models [m], with everything added; those unknown to training set beside the others."""
        if self._moved is None or models is not self._asked:  # the same ones are mostly asked for again
            self._asked, self._moved = models, self._all_of(models)
        return self._moved.of(forecast, shares, places)

    def outcomes(self, model: str) -> int:
        """How many were learned of a model."""
        known = self._models.get(model)
        return known[0].outcomes if known is not None else 0

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
            beside.learn(seen.shares, difference, others, self._models[model][0])
            self._standings.pop(model, None)
        self._together.clear()

    def _standing(self, model: str) -> Standing:
        found = self._standings.get(model)
        if found is None:
            found = self._standings[model] = self._besides[model].standing(self._models[model][0])
        return found

    def _all_of(self, models: Sequence[str]) -> Moved | MovedBeside:
        self._set_beside()  # tables have learned the last prompt: the others' side of it may not be missing
        self._find_common()
        whole, tasks = np.full(len(models), self._whole), np.tile(self._tasks, (len(models), 1))
        lines = np.zeros((len(models), self._places)) if self._places else None
        for place, model in enumerate(models):
            if model not in self._models:
                continue
            table, ridge = self._models[model]
            whole[place] = table.whole(self._whole)
            tasks[place] = table.tasks(float(whole[place]), self._tasks)
            if lines is not None and ridge is not None and table.outcomes >= _SILENT:
                lines[place] = ridge.weights
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
        if not self._stale:
            return
        self._stale = False
        tables = [table for table, _ in self._models.values()]
        trust = sum((table.trust for table in tables), np.full(self._cells + 1, _APART))
        self._whole = sum(table.whole(0.0) for table in tables) / float(trust[-1])
        nothing = np.zeros(self._cells)
        apart = sum((table.tasks(table.whole(self._whole), nothing) for table in tables), nothing)
        self._tasks = apart / trust[:-1]

    def _fresh(self) -> tuple[MovingTable, StreamingRidge | None]:
        ridge = StreamingRidge(self._places, _PENALTY) if self._places else None
        return MovingTable(self._cells), ridge

    def state(self) -> bytes:
        """Everything it knows."""
        self._set_beside()
        names = list(self._models)
        tables = np.array([self._models[name][0].state() for name in names])
        ridges = np.array([ridge.state() for _, ridge in self._models.values() if ridge is not None])
        besides = {name: beside.state() for name, beside in self._besides.items()}
        header = {
            "cells": self._cells,
            "places": self._places,
            "models": names,
            "besides": {name: others for name, (others, _) in besides.items()},
        }
        arrays = {f"beside{number}": values for number, (_, values) in enumerate(besides.values())}
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, header=text, tables=tables, ridges=ridges, **arrays)
        return file.getvalue()

    @classmethod
    def restored(cls, state: bytes) -> Learner:
        """The learner of a state. Raises ValueError."""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays["header"].tobytes())
            found = cls(int(header["cells"]), int(header["places"]))
            for number, name in enumerate(header["models"]):
                ridge = StreamingRidge.restored(arrays["ridges"][number], found._places) if found._places else None
                found._models[str(name)] = (MovingTable.restored(arrays["tables"][number], found._cells), ridge)
            for number, (name, others) in enumerate(header["besides"].items()):
                found._besides[name] = Beside.restored(others, arrays[f"beside{number}"], found._cells)
            found._stale = True
        except Exception as failure:  # a state that is damaged anywhere is no state
            raise ValueError("not the state of a learner") from failure
        return found

    def fits(self, cells: int, places: int) -> bool:
        """Whether it was made for predictors of this shape."""
        return (self._cells, self._places) == (cells, places)
