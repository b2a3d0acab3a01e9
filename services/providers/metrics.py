"""What the providers service counts: attempts, tokens, money and time, by model and endpoint."""

from __future__ import annotations

from typing import Literal

from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry, Gauge

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.counting import Counter, Histogram

# The names of OpenTelemetry's conventions.
Operation = Literal["chat", "embeddings"]
PURPOSE_WORDS = {value: name.removeprefix("PURPOSE_").lower() for name, value in attempt_pb2.Purpose.items()}
OUTCOME_WORDS = {
    value: name.removeprefix("ATTEMPT_OUTCOME_").lower() for name, value in attempt_pb2.AttemptOutcome.items()
}
# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
_SECONDS = tuple(0.01 * 2**power for power in range(14))
_TOKENS = tuple(4**power for power in range(14))

_CLASSES = {
    "input_uncached": "input_uncached_tokens",
    "input_cache_read": "input_cache_read_tokens",
    "input_cache_write": "input_cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}


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
        model, endpoint, usage = attempt.model, attempt.endpoint, attempt.usage
        self._attempts.labels(model, endpoint, PURPOSE_WORDS[attempt.purpose], OUTCOME_WORDS[attempt.outcome]).inc()
        source = "estimated" if usage.estimated else "reported"
        counts = {name: tokens for name, field in _CLASSES.items() if (tokens := getattr(usage, field))}
        for name, tokens in counts.items():
            self._tokens.labels(model, name, source).inc(tokens)
        self._cost.labels(model, source).inc(attempt.cost.nanousd)
        if not attempt.cost.priced:
            self._unpriced.labels(model).inc()
        self._duration.labels(operation, endpoint, model, attempt.error_reason).observe(_seconds(attempt.latency))
        if attempt.HasField("time_to_first_token"):
            self._first_chunk.labels(operation, endpoint, model).observe(_seconds(attempt.time_to_first_token))
        output = counts.pop("output", 0) + counts.pop("reasoning", 0)
        self._usage.labels(operation, endpoint, model, "input").observe(sum(counts.values()))
        if operation == "chat":
            self._usage.labels(operation, endpoint, model, "output").observe(output)


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
