"""What the providers service counts: its books of attempts, tokens and money, until the ledger keeps them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.metrics import LATENCY_BUCKETS

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
        self._latency = Histogram(
            "omnisphere_providers_attempt_duration_seconds",
            "From sending to the end of the answer.",
            ["model"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._first_token = Histogram(
            "omnisphere_providers_time_to_first_token_seconds",
            "From sending to the first token.",
            ["model"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )

    def book(self, attempt: attempt_pb2.Attempt) -> None:
        """Count one attempt, whatever became of it."""
        model = attempt.model
        purpose = attempt_pb2.Purpose.Name(attempt.purpose).removeprefix("PURPOSE_").lower()
        outcome = attempt_pb2.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_").lower()
        self._attempts.labels(model, attempt.endpoint, purpose, outcome).inc()
        source = "estimated" if attempt.usage.estimated else "reported"
        for name, field in _CLASSES.items():
            if tokens := getattr(attempt.usage, field):
                self._tokens.labels(model, name, source).inc(tokens)
        self._cost.labels(model, source).inc(attempt.cost.nanousd)
        if not attempt.cost.priced:
            self._unpriced.labels(model).inc()
        self._latency.labels(model).observe(attempt.latency.ToTimedelta().total_seconds())
        if attempt.HasField("time_to_first_token"):
            self._first_token.labels(model).observe(attempt.time_to_first_token.ToTimedelta().total_seconds())
