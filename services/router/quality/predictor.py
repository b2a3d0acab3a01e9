"""How good each model's answer to a prompt will probably be: what training knows, moved by what came since.

    quality = artefact (the model's column, else its tier's, else the mean of all)
            + what this tenant's outcomes said since          (they move no other tenant's)

Pure: no clock, no chance, no I/O. Used by one event loop; an artefact is swapped between two requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.router.quality.artefact import Artefact
from services.router.quality.estimator import clipped, log_odds
from services.router.quality.features import Floats, Reading, read
from services.router.quality.learner import Learner, Seen

# Coordinates that the streaming ridge looks at.
PLACES = 24
_MOST_TENANTS = 1_000
# A prompt's facts are kept with the request until its feedback comes: as 16-bit numbers.
_KEPT = np.dtype("<f2")


@dataclass(frozen=True, slots=True)
class Known:
    """A model that may be asked: its id, and its tier (small, medium, large, frontier; empty: unknown)."""

    id: str
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Per model in the order asked for: quality (0, 1), and how many outcomes moved it; 0: it is the prior alone.

    `tasks` [tasks] and `places` are what the artefact read of the prompt; `before` what it said without any outcome,
    `columns` [columns] the same of all it knows; `options` how many the prompt lists.
    """

    quality: Floats
    outcomes: tuple[int, ...]
    tasks: Floats
    places: Floats
    before: Floats
    columns: Floats
    options: int

    def mean(self) -> float:
        """The log-odds of what was said without any outcome, over all columns."""
        return float(log_odds(self.columns).mean())

    def noted(self, place: int) -> bytes:
        """What must be kept to learn from the outcome of the model at this place, about 250 bytes."""
        return (
            np.concatenate((self.before[place : place + 1], self.places[:PLACES], self.tasks)).astype(_KEPT).tobytes()
        )


class Predictor:
    """Predicts and learns. `most_tenants`: the tenant that was longest not heard of is forgotten beyond it."""

    def __init__(self, artefact: Artefact, *, most_tenants: int = _MOST_TENANTS) -> None:
        self._most_tenants = most_tenants
        self._take(artefact)

    @property
    def artefact(self) -> Artefact:
        """The artefact in use."""
        return self._artefact

    def predict(self, reading: Reading, models: Sequence[Known], tenant: str = "") -> Prediction:
        """The prediction for a prompt that was read; `tenant` adds what its own outcomes taught."""
        tasks, places, columns = self._artefact.estimator.estimate(reading)
        before = self._of(columns, models)
        learner = self._tenants.get(tenant)
        quality, outcomes = before, (0,) * len(models)
        if learner is not None:
            outcomes = tuple(map(learner.outcomes, self._names))
            quality = clipped(learner.moved(self._names, before, tasks, places))
        return Prediction(quality, outcomes, tasks, places, before, columns, reading.options)

    def predict_text(self, prompt: str, in_tokens: int, models: Sequence[Known], tenant: str = "") -> Prediction:
        """`predict`, reading the prompt first."""
        return self.predict(read(prompt, in_tokens), models, tenant)

    def learn(self, noted: bytes, model: str, quality: float, tenant: str = "") -> None:
        """One outcome: what `Prediction.noted` kept, and the quality in [0, 1] that the answer turned out to have.

        It moves the predictions of that tenant alone. Raises ValueError.
        """
        if not 0 <= quality <= 1:  # NaN neither
            raise ValueError("quality lies outside [0, 1]")
        before, places, tasks = self._facts(noted)
        learner = self._tenants.get(tenant)
        if learner is None:
            learner = self._tenants[tenant] = Learner(len(tasks), self._places)
        self._tenants.move_to_end(tenant)
        if len(self._tenants) > self._most_tenants:
            self._tenants.popitem(last=False)
        learner.learn(model, Seen(tasks, places, before, trained=model in self._columns), quality - before)

    def swap(self, artefact: Artefact) -> None:
        """Use another artefact from now on. What was learned since the last one is forgotten: it stands in the new."""
        self._take(artefact)

    def _take(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._columns = {name: place for place, name in enumerate(artefact.estimator.columns)}
        # The models asked for last, and their columns; one beyond the last for those of which nothing is known: it has
        # the mean of all.
        self._asked: Sequence[Known] = ()
        self._names: tuple[str, ...] = ()
        self._places_of: Sequence[int] = ()
        head = artefact.estimator.head
        self._places = min(PLACES, head.heads.shape[1] - len(head.intercepts))
        self._tenants: OrderedDict[str, Learner] = OrderedDict()

    def _of(self, columns: Floats, models: Sequence[Known]) -> Floats:
        if models is not self._asked:  # the same ones are mostly asked for again
            unknown = len(columns)
            named = [self._columns.get(model.id, self._columns.get(model.tier, unknown)) for model in models]
            self._asked, self._places_of = models, named
            self._names = tuple(model.id for model in models)
        known: list[float] = columns.tolist()
        known.append(sum(known) / len(known))
        return np.array([known[place] for place in self._places_of])

    def _facts(self, noted: bytes) -> tuple[float, Floats, Floats]:
        tasks = len(self._artefact.estimator.tasks)
        if len(noted) != _KEPT.itemsize * (1 + self._places + tasks):
            raise ValueError("these facts were noted with another artefact")
        facts = np.frombuffer(noted, _KEPT).astype(np.float64)
        if not np.isfinite(facts).all() or not 0 <= facts[0] <= 1:
            raise ValueError("the facts are damaged")
        return float(facts[0]), facts[1 : 1 + self._places], facts[1 + self._places :]
