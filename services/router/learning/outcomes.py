"""Outcomes: how good answers were. Taken up by the forecaster at once, and kept in a file for the next process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Final, Literal, Protocol

from services.chassis.clock import Clock
from services.chassis.errors import InvalidRequest, Overloaded
from services.router.learning import feedback_token
from services.router.learning.feedback_token import Subject
from services.router.learning.metrics import LearningMetrics

Source = Literal["feedback", "judge", "shadow"]
SOURCES: Final[Mapping[str, Source]] = {"feedback": "feedback", "judge": "judge", "shadow": "shadow"}
_MOST_SCORED = 100_000
_MOST_TENANTS = 10_000
_PER_MINUTE = 600.0
_BURST = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may turn out good or bad."""

    tenant: str
    request_id: str
    task_type: str
    model: str
    propensity: float
    noted: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How good one answer was, from 0 to 1. `noted` is what the prediction of then left to learn from."""

    tenant: str
    request_id: str
    task_type: str
    model: str
    score: float
    source: Source
    at: float
    propensity: float
    noted: bytes


class Learner(Protocol):
    """Takes up outcomes."""

    def learn(self, outcome: Outcome) -> None:
        """One more outcome."""


class Outcomes:
    """The desk where outcomes come in. Feedback is checked here: who may say what, and how often."""

    def __init__(
        self, learner: Learner, keep: Callable[[Outcome], None], *, key: bytes, clock: Clock, metrics: LearningMetrics
    ) -> None:
        self._learner = learner
        self._keep = keep
        self._key = key
        self._clock = clock
        self._metrics = metrics
        # What was scored, oldest first.
        self._scored: OrderedDict[tuple[str, str, str, Source], None] = OrderedDict()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def token(self, answer: Answer) -> str:
        """For feedback on an answer."""
        return feedback_token.sign(self._subject(answer), self._key)

    def feedback(self, tenant: str, token: str, score: float) -> None:
        """Somebody says how good an answer was. Raises InvalidRequest, Overloaded."""
        if not isfinite(score) or not 0 <= score <= 1:
            raise InvalidRequest(field="score", problem="is not from 0 to 1")
        subject = feedback_token.read(token, self._key, now=self._clock.wall())
        if subject is None or subject.tenant != tenant:
            raise InvalidRequest(field="feedback_token", problem="was not made here for this tenant, or is too old")
        self._spend(tenant)
        self.add(self._outcome(subject, score, "feedback"))

    def found(self, answer: Answer, score: float, source: Source) -> None:
        """A judge or a shadow call says how good an answer was."""
        self.add(self._outcome(self._subject(answer), score, source))

    def add(self, outcome: Outcome) -> None:
        """Take it up, once per answer and source, and keep it."""
        if self.take(outcome):
            self._metrics.outcomes.labels(outcome.source).inc()
            self._keep(outcome)

    def take(self, outcome: Outcome) -> bool:
        """Learn what an earlier process or another router found; false: it was known."""
        name = (outcome.tenant, outcome.request_id, outcome.model, outcome.source)
        if name in self._scored:
            return False
        self._scored[name] = None
        if len(self._scored) > _MOST_SCORED:
            self._scored.popitem(last=False)
        self._learner.learn(outcome)
        return True

    def _outcome(self, subject: Subject, score: float, source: Source) -> Outcome:
        return Outcome(
            tenant=subject.tenant,
            request_id=subject.request_id,
            task_type=subject.task_type,
            model=subject.model,
            score=score,
            source=source,
            at=self._clock.wall(),
            propensity=subject.propensity,
            noted=feedback_token.unpacked(subject.noted),
        )

    def _subject(self, answer: Answer) -> Subject:
        return Subject(
            answer.tenant,
            answer.request_id,
            answer.task_type,
            answer.model,
            int(self._clock.wall()),
            answer.propensity,
            feedback_token.packed(answer.noted),
        )

    def _spend(self, tenant: str) -> None:
        """One of the tenant's share per minute; a token bucket."""
        now = self._clock.monotonic()
        left, since = self._buckets.pop(tenant, (_BURST, now))
        left = min(_BURST, left + (now - since) * _PER_MINUTE / 60)
        self._buckets[tenant] = (max(0.0, left - 1), now)
        if len(self._buckets) > _MOST_TENANTS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise Overloaded(queue="feedback", retry_after=timedelta(seconds=(1 - left) * 60 / _PER_MINUTE))
