"""What the providers service counts: attempts, tokens, money and time, by model and endpoint."""

from __future__ import annotations

from typing import Literal, NamedTuple

from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.counting import Count, Counter, Distribution, Gauge, Histogram

# The names of OpenTelemetry's conventions.
Operation = Literal["chat", "embeddings"]
PURPOSE_WORDS = {value: name.removeprefix("PURPOSE_").lower() for name, value in attempt_pb2.Purpose.items()}
OUTCOME_WORDS = {
    value: name.removeprefix("ATTEMPT_OUTCOME_").lower() for name, value in attempt_pb2.AttemptOutcome.items()
}
# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
_SECONDS = tuple(0.01 * 2**power for power in range(14))
_TOKENS = tuple(4**power for power in range(14))

_CLASSES = ("input_uncached", "input_cache_read", "input_cache_write", "output", "reasoning")


class _Series(NamedTuple):
    """What every attempt of one kind counts in, looked up once: its labels are bounded, and so are the kinds."""

    attempts: Count
    tokens: tuple[Count, ...]
    cost: Count
    unpriced: Count
    duration: Distribution
    first_chunk: Distribution
    input: Distribution
    output: Distribution | None


class ProvidersMetrics:
    """Counters and histograms of attempts. Labels are bounded: models of the catalogue, endpoints, outcomes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "omnisphere_providers_attempts",
            "HTTP calls to models.",
            ["model", "endpoint", "purpose", "outcome"],
            registry=registry,
        )
        self._tokens = Counter(
            "omnisphere_providers_tokens",
            "Tokens, by disjoint class; source says whether the provider counted or we did.",
            ["model", "class", "source"],
            registry=registry,
        )
        self._cost = Counter(
            "omnisphere_providers_cost_nanousd",
            "What attempts cost, in 1e-9 USD; estimated where we counted the tokens.",
            ["model", "source"],
            registry=registry,
        )
        self._unpriced = Counter(
            "omnisphere_providers_unpriced_attempts", "Attempts without a known price.", ["model"], registry=registry
        )
        self._series: dict[tuple[object, ...], _Series] = {}
        # The names and buckets of OpenTelemetry's GenAI conventions, so that dashboards made for them fit.
        said = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"]
        self._duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "From sending to the end of the answer.",
            [*said, "error_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_chunk = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "From sending to the first piece of a stream.",
            said,
            buckets=_SECONDS,
            registry=registry,
        )
        self._usage = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of one call.",
            [*said, "gen_ai_token_type"],
            buckets=_TOKENS,
            registry=registry,
        )
        self._retries = Counter(
            "omnisphere_providers_retries",
            "Attempts after the first of a call, by why the one before failed.",
            ["model", "reason"],
            registry=registry,
        )
        self.rests = Counter(
            "omnisphere_providers_rests",
            "How often a key, or an endpoint (key empty), was left alone for a while.",
            ["endpoint", "key_name", "reason"],
            registry=registry,
        )
        self.breaker_opened = Counter(
            "omnisphere_providers_breaker_opened",
            "How often an endpoint was left alone after failures in a row.",
            ["endpoint"],
            registry=registry,
        )
        self.breaker_open = Gauge(
            "omnisphere_providers_breaker_open", "1 while an endpoint is left alone.", ["endpoint"], registry=registry
        )
        self.in_flight = Gauge(
            "omnisphere_providers_calls_in_flight", "Calls that are out.", ["endpoint"], registry=registry
        )
        self.ledger_lost = Counter(
            "omnisphere_providers_ledger_lost_rows",
            "Attempts that did not reach the ledger's file.",
            ["why"],
            registry=registry,
        )
        # There from the start: Prometheus does not see a series rise that begins with 1.
        for why in ("queue_full", "storage"):
            self.ledger_lost.labels(why)

    def retried(self, after: attempt_pb2.Attempt) -> None:
        """Count a further attempt, `after` a failed one."""
        self._retries.labels(after.model, after.error_reason).inc()

    def book(self, attempt: attempt_pb2.Attempt, operation: Operation) -> None:
        """Count one attempt, whatever became of it."""
        usage = attempt.usage
        kind = (
            attempt.model,
            attempt.endpoint,
            attempt.purpose,
            attempt.outcome,
            attempt.error_reason,
            usage.estimated,
            operation,
        )
        mine = self._series.get(kind)
        if mine is None:
            mine = self._series[kind] = self._of(attempt, operation)
        mine.attempts.value += 1
        mine.cost.value += attempt.cost.nanousd
        mine.unpriced.value += not attempt.cost.priced
        mine.duration.observe(_seconds(attempt.latency))
        if attempt.HasField("time_to_first_token"):
            mine.first_chunk.observe(_seconds(attempt.time_to_first_token))
        fresh, read, write = usage.input_uncached_tokens, usage.input_cache_read_tokens, usage.input_cache_write_tokens
        output, reasoning = usage.output_tokens, usage.reasoning_tokens
        for count, tokens in zip(mine.tokens, (fresh, read, write, output, reasoning), strict=True):
            count.value += tokens
        mine.input.observe(fresh + read + write)
        if mine.output is not None:
            mine.output.observe(output + reasoning)

    def _of(self, attempt: attempt_pb2.Attempt, operation: Operation) -> _Series:
        model, place = attempt.model, (operation, attempt.endpoint, attempt.model)
        words = PURPOSE_WORDS[attempt.purpose], OUTCOME_WORDS[attempt.outcome]
        source = "estimated" if attempt.usage.estimated else "reported"
        return _Series(
            attempts=self._attempts.labels(model, attempt.endpoint, *words),
            tokens=tuple(self._tokens.labels(model, name, source) for name in _CLASSES),
            cost=self._cost.labels(model, source),
            unpriced=self._unpriced.labels(model),
            duration=self._duration.labels(*place, attempt.error_reason),
            first_chunk=self._first_chunk.labels(*place),
            input=self._usage.labels(*place, "input"),
            output=self._usage.labels(*place, "output") if operation == "chat" else None,
        )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
