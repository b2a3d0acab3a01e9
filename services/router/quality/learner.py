"""What outcomes taught since the last training, one learner for everybody and one per tenant. Not thread-safe."""

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


class Learner:
    """Moving tables per model, and where `places` is above 0 a streaming ridge on what they leave."""

    def __init__(self, cells: int, places: int = 0) -> None:
        self._cells, self._places = cells, places
        self._models: OrderedDict[str, tuple[MovingTable, StreamingRidge | None]] = OrderedDict()

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
            ridge.learn(places[: self._places], difference - table.offset(shares))
        table.learn(shares, difference)

    def offset(self, model: str, shares: Floats, places: Floats) -> float:
        """What to add to the forecast of a model."""
        known = self._models.get(model)
        if known is None:
            return 0.0
        table, ridge = known
        found = table.offset(shares)
        if ridge is not None and table.outcomes >= _SILENT:
            found += ridge.predict(places[: self._places])
        return found

    def outcomes(self, model: str) -> int:
        """How many were learned of a model."""
        known = self._models.get(model)
        return known[0].outcomes if known is not None else 0

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
        except Exception as failure:  # a state that is damaged anywhere is no state
            raise ValueError("not the state of a learner") from failure
        return found

    def fits(self, cells: int, places: int) -> bool:
        """Whether it was made for predictors of this shape."""
        return (self._cells, self._places) == (cells, places)
