"""The Forecaster in use: the predictor of quality/, counts per tenant and task, and how long answers were. No I/O."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from omnisphere.model.v1 import model_pb2
from services.router.forecast import Evidence, Forecast, Prediction, Question
from services.router.learning.outcomes import Outcome
from services.router.quality.artefact import Artefact
from services.router.quality.predictor import Known, Predictor

_TIERS = {value: name.removeprefix("TIER_").lower() for name, value in model_pb2.Tier.items()}
_LEARNED, _PRIOR = Evidence.EVIDENCE_LEARNED, Evidence.EVIDENCE_PRIOR
# As many as the predictor knows: what is counted here stands behind what it says.
MOST_TENANTS = 1_000
# Tasks and models are few; but a policy of one request can make up tasks.
_MOST_NAMES = 4_096
# A note begins with so many bytes that tell its artefact from others.
_TAG_BYTES = 4
# So many answers of the past count for how long the next one will be.
_LENGTHS = 50
# Below so many nothing is said of it.
_LEAST_LENGTHS = 5


@dataclass(slots=True)
class _Length:
    """A mean that follows what comes."""

    number: int = 0
    tokens: float = 0.0

    def add(self, tokens: int) -> None:
        self.number += 1
        self.tokens += (tokens - self.tokens) / min(self.number, _LENGTHS)


@dataclass(slots=True)
class _Heard:
    """Outcomes of one tenant, by task and model."""

    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)


class Forecasts:
    """Predicts, and takes up outcomes. `unusable` hears of outcomes that belong to another artefact.

    With another artefact the predictor begins anew, and so do the counts.
    """

    def __init__(self, predictor: Predictor, *, unusable: Callable[[], None] = lambda: None) -> None:
        self._predictor = predictor
        self._unusable = unusable
        self._tenants: OrderedDict[str, _Heard] = OrderedDict()
        self._lengths: OrderedDict[tuple[str, str], _Length] = OrderedDict()
        self._models: Sequence[model_pb2.Model] = ()
        self._known: Sequence[Known] = ()
        self._places: Mapping[str, int] = {}
        self._artefact, self._tag = predictor.artefact, _tag(predictor.artefact)

    def predict(self, question: Question, models: Sequence[model_pb2.Model]) -> Forecast:
        """See Forecaster."""
        known = self._known_of(models)
        found = self._predictor.predict_text(question.prompt, question.input_tokens, known, question.tenant)
        tag, artefact, places = self._in_use(), self._artefact, self._places
        heard, task = self._tenants.get(question.tenant), question.task_type
        seen = heard.outcomes if heard else {}
        return Forecast(
            {
                name: Prediction(quality, _LEARNED if told else _PRIOR, seen.get((task, name), 0))
                for name, quality, told in zip(places, found.quality.tolist(), found.outcomes, strict=True)
            },
            found.tasks,
            lambda model: tag + found.noted(places[model]) if model in places else b"",
            found.options,
            mean=found.mean,
            taught=lambda: artefact.taught(question.input_tokens, found.tasks),
        )

    def outcomes(self, tenant: str, task_type: str, model: str) -> int:
        """See Forecaster."""
        self._in_use()
        heard = self._tenants.get(tenant)
        return heard.outcomes.get((task_type, model), 0) if heard else 0

    def has_taught(self, tenant: str) -> bool:
        """See Forecaster."""
        self._in_use()
        return tenant in self._tenants

    def output_tokens(self, task_type: str, model: str) -> int | None:
        """See Forecaster."""
        length = self._lengths.get((task_type, model))
        return round(length.tokens) if length and length.number >= _LEAST_LENGTHS else None

    def _in_use(self) -> bytes:
        """What tells the artefact in use from others."""
        if self._predictor.artefact is not self._artefact:
            self._artefact, self._tag = self._predictor.artefact, _tag(self._predictor.artefact)
            self._tenants.clear()
        return self._tag

    def _known_of(self, models: Sequence[model_pb2.Model]) -> Sequence[Known]:
        """The models as the predictor names them; the same ones are mostly asked for again."""
        if models is not self._models:
            self._models = models
            self._known = [Known(model.id, _TIERS.get(model.tier, "")) for model in models]
            self._places = {model.id: place for place, model in enumerate(models)}
        return self._known

    def learn(self, outcome: Outcome) -> None:
        """See Learner. Feedback moves its tenant alone."""
        tag, noted = outcome.noted[:_TAG_BYTES], outcome.noted[_TAG_BYTES:]
        try:
            if tag != self._in_use():
                raise ValueError("these facts were noted with another artefact")
            self._predictor.learn(noted, outcome.model, outcome.score, outcome.tenant)
        except ValueError:
            self._unusable()
            return
        heard = self._tenants.setdefault(outcome.tenant, _Heard())
        self._tenants.move_to_end(outcome.tenant)
        if len(self._tenants) > MOST_TENANTS:
            self._tenants.popitem(last=False)
        name = (outcome.task_type, outcome.model)
        heard.outcomes[name] = heard.outcomes.pop(name, 0) + 1
        if len(heard.outcomes) > _MOST_NAMES:
            del heard.outcomes[next(iter(heard.outcomes))]

    def answered(self, task_type: str, model: str, output_tokens: int) -> None:
        """How long an answer was."""
        self._lengths.setdefault((task_type, model), _Length()).add(output_tokens)
        self._lengths.move_to_end((task_type, model))
        if len(self._lengths) > _MOST_NAMES:
            self._lengths.popitem(last=False)


def _tag(artefact: Artefact) -> bytes:
    """The same for the same arrays, in every process."""
    digest = hashlib.blake2b(digest_size=_TAG_BYTES)
    for name, values in sorted(artefact.estimator.arrays().items()):
        digest.update(name.encode() + values.tobytes())
    return digest.digest()
