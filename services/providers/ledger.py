"""The attempt ledger: a row per HTTP call to a model; the newest stay at hand for callers that were cut off."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.ledger.ledger import Book
from services.ledger.table import Row, Table
from services.providers.metrics import OUTCOME_WORDS, PURPOSE_WORDS, Operation, ProvidersMetrics

ATTEMPTS = Table(
    name="attempt",
    schema=1,
    columns=(
        ("at", "integer"),
        ("request_id", "text"),
        ("trace_id", "text"),
        ("tenant", "text"),
        ("model", "text"),
        ("endpoint", "text"),
        ("purpose", "text"),
        ("outcome", "text"),
        ("error", "text"),
        ("http_status", "integer"),
        ("provider_finish", "text"),
        ("upstream_id", "text"),
        ("input_uncached", "integer"),
        ("input_cache_read", "integer"),
        ("input_cache_write", "integer"),
        ("output", "integer"),
        ("reasoning", "integer"),
        ("estimated", "integer"),
        ("cost_nanousd", "integer"),
        ("priced", "integer"),
        ("simulated", "integer"),
        ("milliseconds", "real"),
        ("first_token_milliseconds", "real"),
    ),
    indexes=("at", "request_id"),
)
_MOST_RECENT = 10_000
_COMES_WITHIN_SECONDS = 1.0


@dataclass(slots=True)
class _Recent:
    """The attempts of one call. `since`: when the first of them, or the call without any, was over."""

    since: float
    attempts: list[attempt_pb2.Attempt] = field(default_factory=list)


class Attempts:
    """Every attempt comes here once: counted, kept, and remembered for a while."""

    def __init__(
        self,
        ledger: Book,
        metrics: ProvidersMetrics,
        *,
        most_recent: int = _MOST_RECENT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._most_recent = most_recent
        self._recent: OrderedDict[tuple[str, str], _Recent] = OrderedDict()
        self._now = now
        # Of calls that came later than this none is forgotten.
        self._remembers_from = now()
        # Calls that have a name and are not over.
        self._open: set[tuple[str, str]] = set()

    @contextmanager
    def call(self, call_id: str) -> Iterator[None]:
        """Around one call: before its end nobody is told a part of its attempts."""
        if not call_id:
            yield
            return
        key = (call_context.current().caller.tenant, call_id)
        self._open.add(key)
        try:
            yield
        finally:
            self._open.discard(key)
            self._of(key)
            self._forget()

    def book(self, attempt: attempt_pb2.Attempt, *, request_id: str, call_id: str, operation: Operation) -> None:
        """An attempt is over."""
        call = call_context.current()
        self._metrics.book(attempt, operation)
        self._ledger.add(_row(attempt, request_id, call.trace_id, call.caller.tenant))
        if call_id:
            self._of((call.caller.tenant, call_id)).attempts.append(attempt)
            self._forget()

    def of_call(self, call_id: str, age: float | None = None) -> Sequence[attempt_pb2.Attempt] | None:
        """All attempts of a call of the caller's tenant, made `age` seconds ago; None: it is not over, or forgotten."""
        key = (call_context.current().caller.tenant, call_id)
        if key in self._open:
            return None
        found = self._recent.get(key)
        if found is not None:
            return found.attempts
        never_came = age is not None and age > _COMES_WITHIN_SECONDS and self._now() - age > self._remembers_from
        return () if never_came else None

    def _of(self, key: tuple[str, str]) -> _Recent:
        found = self._recent.get(key)
        if found is None:
            found = self._recent[key] = _Recent(self._now())
        return found

    def _forget(self) -> None:
        while len(self._recent) > self._most_recent:
            _, forgotten = self._recent.popitem(last=False)
            self._remembers_from = forgotten.since


def _row(attempt: attempt_pb2.Attempt, request_id: str, trace_id: str, tenant: str) -> Row:
    usage, started = attempt.usage, attempt.started_at
    return (
        started.seconds * 1000 + started.nanos // 1_000_000,
        request_id,
        trace_id,
        tenant,
        attempt.model,
        attempt.endpoint,
        PURPOSE_WORDS[attempt.purpose],
        OUTCOME_WORDS[attempt.outcome],
        attempt.error_reason,
        attempt.http_status,
        attempt.provider_finish_reason,
        attempt.upstream_id,
        usage.input_uncached_tokens,
        usage.input_cache_read_tokens,
        usage.input_cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        int(usage.estimated),
        attempt.cost.nanousd,
        int(attempt.cost.priced),
        int(attempt.simulated),
        _milliseconds(attempt.latency),
        _milliseconds(attempt.time_to_first_token) if attempt.HasField("time_to_first_token") else -1.0,
    )


def _milliseconds(duration: Duration) -> float:
    return duration.seconds * 1000 + duration.nanos / 1e6
