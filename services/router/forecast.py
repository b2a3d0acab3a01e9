"""What is predicted of a model's answer, and the seam behind which it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2

if TYPE_CHECKING:  # strategies plan with forecasts
    from services.router.strategies.cascade import Taught

Floats = npt.NDArray[np.float64]
Evidence = decision_pb2.Candidate.Evidence


class Prediction(NamedTuple):
    """Of one model's answer to one request. `quality` is the probability that it is good, from 0 to 1.

    `outcomes`: how many were seen here of this model in this task, for this tenant.
    """

    quality: float
    evidence: Evidence.ValueType
    outcomes: int


@dataclass(frozen=True, slots=True)
class Question:
    """What a prediction is made from."""

    tenant: str
    task_type: str
    prompt: str
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is predicted for one request, by concrete id; `kinds`: how probable each task is that training knew.

    `note` gives what must be kept to learn from the outcome of a model; `options`: how many the prompt lists. What
    cascades alone need is found when it is asked for: `mean`, the log-odds of all that training knew, and `taught`, the
    cascade that training found, None where it found none.
    """

    models: Mapping[str, Prediction] = field(default_factory=dict)
    kinds: Floats = field(default_factory=lambda: np.zeros(0))
    note: Callable[[str], bytes] = lambda _: b""
    options: int = 0
    mean: Callable[[], float] = lambda: 0.0
    taught: Callable[[], Taught | None] = lambda: None


class Forecaster(Protocol):
    """Predicts, and learns from outcomes elsewhere. Quick, and without I/O."""

    def predict(self, question: Question, models: Sequence[model_pb2.Model]) -> Forecast:
        """A prediction for every model."""

    def outcomes(self, tenant: str, task_type: str, model: str) -> int:
        """How many were seen here of a model in a task, for a tenant."""

    def has_taught(self, tenant: str) -> bool:
        """Whether outcomes of a tenant move what is predicted for it."""

    def output_tokens(self, task_type: str, model: str) -> int | None:
        """What a model's answers took in a task on the mean; None: unknown."""

    def answered(self, task_type: str, model: str, output_tokens: int) -> None:
        """How long an answer was."""


class Outlook:
    """What is known of the answers to one request: what was counted at once, what is predicted once it is asked for.

    A table plans without a prediction, so that it can be made while the model answers.
    """

    def __init__(self, forecaster: Forecaster, question: Question, models: Sequence[model_pb2.Model]) -> None:
        self._forecaster, self._question, self._models = forecaster, question, models
        self._forecast: Forecast | None = None

    @property
    def is_made(self) -> bool:
        """Whether the forecast was asked for."""
        return self._forecast is not None

    def forecast(self) -> Forecast:
        """What is predicted; made once."""
        if self._forecast is None:
            self._forecast = self._forecaster.predict(self._question, self._models)
        return self._forecast

    def outcomes(self, model: str) -> int:
        """How many were seen of a model, as Forecaster.outcomes."""
        return self._forecaster.outcomes(self._question.tenant, self._question.task_type, model)

    def output_tokens(self, model: str) -> int | None:
        """How long its answers are, as Forecaster.output_tokens."""
        return self._forecaster.output_tokens(self._question.task_type, model)
