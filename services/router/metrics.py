"""Names and labels of the router's metrics. Labels are bounded: policies, tasks of policies, enums, models."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.metrics import LATENCY_BUCKETS


class RouterMetrics:
    """What the router counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "omnisphere_router_requests",
            "Requests that were answered or failed; reason is empty for an answer.",
            ["strategy", "task", "cache", "reason"],
            registry=registry,
        )
        self._latency = Histogram(
            "omnisphere_router_step_duration_seconds",
            "Where the time goes.",
            ["step"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._fallbacks = Counter(
            "omnisphere_router_fallbacks", "Models that took over after an error.", ["model"], registry=registry
        )
        self._degradations = Counter(
            "omnisphere_router_degradations", "What was not done as asked.", ["kind"], registry=registry
        )
        self._cost = Counter(
            "omnisphere_router_cost_nanousd", "What answers cost, in 1e-9 USD.", ["model"], registry=registry
        )
        self.joined = Counter(
            "omnisphere_router_joined_requests",
            "Requests that shared another one's answer, by what made them the same.",
            ["by"],
            registry=registry,
        )
        self.stores_dropped = Counter(
            "omnisphere_router_stores_dropped",
            "Answers that were not stored: the queue was full, or the cache did not take them.",
            ["why"],
            registry=registry,
        )

    def count(self, decision: decision_pb2.Decision, reason: str) -> None:
        """Count one finished request."""
        outcome = cache_pb.CacheOutcome.Name(decision.cache.outcome).removeprefix("CACHE_OUTCOME_").lower()
        self._requests.labels(decision.strategy, decision.task_type, outcome, reason).inc()
        for step in decision.steps:
            self._latency.labels(step.step).observe(step.latency.ToTimedelta().total_seconds())
        if decision.fallbacks:
            self._fallbacks.labels(decision.model).inc(decision.fallbacks)
        for degradation in decision.degradations:
            self._degradations.labels(chat_pb2.Degradation.Kind.Name(degradation.kind)).inc()
        if decision.cost.nanousd:
            self._cost.labels(decision.model).inc(decision.cost.nanousd)
