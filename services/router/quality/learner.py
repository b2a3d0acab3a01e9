"""What outcomes taught since the last training, one learner for everybody and one per tenant. Not thread-safe.

An outcome says two things: how hard these prompts are here, for whoever answers, and how good this model is. So what a
model did is shrunken to what the others did, and one of which nothing is known has what all had:

    common = sum over models of their shrunken means / (sum of their trust + 0.2)

0.2: how hard prompts are differs more from place to place than models do. Without it a model would gain on another for
nothing but having been asked what is easy.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict

import numpy as np

from services.router.quality.features import Floats
from services.router.quality.ridge import StreamingRidge
from services.router.quality.table import MovingTable

# The linear part starts to speak when it has heard this much, and moves slowly.
_SILENT, _PENALTY = 50, 30.0
# A learner knows at most so many models; the one that was longest not heard of is forgotten.
_MOST_MODELS = 200
_APART = 0.2


class Learner:
    """Moving tables per model, and where `places` is above 0 a streaming ridge on what they leave."""

    def __init__(self, cells: int, places: int = 0) -> None:
        self._cells, self._places = cells, places
        self._models: OrderedDict[str, tuple[MovingTable, StreamingRidge | None]] = OrderedDict()
        self._whole, self._tasks = 0.0, np.zeros(cells)
        # Found when it is asked for: a start plays outcomes by the ten thousand.
        self._stale = False

    @property
    def has_learned(self) -> bool:
        """Whether there was any outcome."""
        return bool(self._models)

    def learn(self, model: str, shares: Floats, places: Floats, difference: float) -> None:
        """One outcome: quality minus what was foretold before this learner."""
        table, ridge = self._models.setdefault(model, self._fresh())
        self._models.move_to_end(model)
        if len(self._models) > _MOST_MODELS:
            self._models.popitem(last=False)
        if ridge is not None:
            self._find_common()
            ridge.learn(places[: self._places], difference - self._by_table(table, shares))
        table.learn(shares, difference)
        self._stale = True

    def offset(self, model: str, shares: Floats, places: Floats) -> float:
        """What to add to the forecast of a model."""
        self._find_common()
        known = self._models.get(model)
        if known is None:
            return self._whole + float(shares @ self._tasks)
        table, ridge = known
        found = self._by_table(table, shares)
        if ridge is not None and table.outcomes >= _SILENT:
            found += ridge.predict(places[: self._places])
        return found

    def outcomes(self, model: str) -> int:
        """How many were learned of a model."""
        known = self._models.get(model)
        return known[0].outcomes if known is not None else 0

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
        names = list(self._models)
        tables = np.array([self._models[name][0].state() for name in names])
        ridges = np.array([ridge.state() for _, ridge in self._models.values() if ridge is not None])
        header = json.dumps({"cells": self._cells, "places": self._places, "models": names}).encode()
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, header=np.frombuffer(header, np.uint8), tables=tables, ridges=ridges)
        return file.getvalue()

    @classmethod
    def restored(cls, state: bytes) -> Learner:
        """The learner of a state. Raises ValueError."""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as file:
                header = json.loads(file["header"].tobytes())
                tables, ridges = file["tables"], file["ridges"]
            found = cls(int(header["cells"]), int(header["places"]))
            for number, name in enumerate(header["models"]):
                ridge = StreamingRidge.restored(ridges[number], found._places) if found._places else None
                found._models[str(name)] = (MovingTable.restored(tables[number], found._cells), ridge)
            found._stale = True
        except Exception as failure:  # a state that is damaged anywhere is no state
            raise ValueError("not the state of a learner") from failure
        return found

    def fits(self, cells: int, places: int) -> bool:
        """Whether it was made for predictors of this shape."""
        return (self._cells, self._places) == (cells, places)
