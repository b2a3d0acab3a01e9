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

    `outcomes`: how many were seen here of this model in this task, for this tenant. `output_tokens`: what its answers
    took in this task on the mean; None: unknown.
    """

    quality: float
    evidence: Evidence.ValueType
    outcomes: int
    output_tokens: int | None = None


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

    `note` gives what must be kept to learn from the outcome of a model. `mean`: the log-odds of all that training knew;
    `options`: how many the prompt lists; `taught`: the cascade that training found, None where it found none.
    """

    models: Mapping[str, Prediction] = field(default_factory=dict)
    kinds: Floats = field(default_factory=lambda: np.zeros(0))
    note: Callable[[str], bytes] = lambda _: b""
    mean: float = 0.0
    options: int = 0
    taught: Taught | None = None


class Forecaster(Protocol):
    """Predicts, and learns from outcomes elsewhere. Quick, and without I/O."""

    def predict(self, question: Question, models: Sequence[model_pb2.Model]) -> Forecast:
        """A prediction for every model."""

    def answered(self, task_type: str, model: str, output_tokens: int) -> None:
        """How long an answer was."""


NOTHING = Forecast()
