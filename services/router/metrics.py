"""Names and labels of the router's metrics. Labels are bounded: policies, tasks of policies, enums, models."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.counting import Counter, Histogram
from services.chassis.metrics import LATENCY_BUCKETS
from services.router.learning.metrics import LearningMetrics
from services.router.ledger import CACHE_WORDS
from services.router.policy import INLINE
from services.router.tasks.classify import TASK_TYPES

OTHER_TASK = "other"


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
        self._first_token = Histogram(
            "omnisphere_router_time_to_first_token_seconds",
            "From a request's arrival to the first piece of its answer.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._cache_savings = Counter(
            "omnisphere_router_cache_savings_nanousd", "What cached answers once cost, in 1e-9 USD.", registry=registry
        )
        self._routing_savings = Counter(
            "omnisphere_router_routing_savings_nanousd",
            "The reference model's price less the cost, where it is more; estimated, in 1e-9 USD.",
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

        self.learning = LearningMetrics(registry)
        self.reload_failures = Counter(
            "omnisphere_router_config_reload_failures",
            "Files that were refused while the old ones stay in use.",
            ["file"],
            registry=registry,
        )
        self.ledger_lost = Counter(
            "omnisphere_router_ledger_lost_rows",
            "Requests that did not reach the ledger's file.",
            ["why"],
            registry=registry,
        )
        # There from the start, where the values are few: Prometheus does not see a series rise that begins with 1.
        for file in ("policies", "artefact"):
            self.reload_failures.labels(file)
        for why in ("queue_full", "storage"):
            self.ledger_lost.labels(why)
        for why in ("queue_full", "deadline_exceeded", "peer_unavailable"):
            self.stores_dropped.labels(why)
        for by in ("content", "request_id"):
            self.joined.labels(by)
        for kind in chat_pb2.Degradation.Kind.keys()[1:]:
            self._degradations.labels(kind)

    def count(self, decision: decision_pb2.Decision, reason: str, first_token: float | None) -> None:
        """Count one finished request; `first_token` in seconds, None where nothing came."""
        outcome = CACHE_WORDS.get(decision.cache.outcome, "")
        self._requests.labels(decision.strategy, _task_of(decision), outcome, reason).inc()
        for step in decision.steps:
            latency = step.latency
            self._latency.labels(step.step).observe(latency.seconds + latency.nanos / 1e9)
        if first_token is not None:
            self._first_token.observe(first_token)
        if decision.fallbacks:
            self._fallbacks.labels(decision.model).inc(decision.fallbacks)
        if decision.verdicts:
            self.learning.judged(decision)
        for degradation in decision.degradations:
            self._degradations.labels(chat_pb2.Degradation.Kind.Name(degradation.kind)).inc()
        if decision.cost.nanousd:
            self._cost.labels(decision.model).inc(decision.cost.nanousd)
        savings = decision.savings
        if savings.cache_nanousd:
            self._cache_savings.inc(savings.cache_nanousd)
        if savings.routing_nanousd > 0:
            self._routing_savings.inc(savings.routing_nanousd)

    def hit_again(self, decision: decision_pb2.Decision) -> Callable[[float], None]:
        """How to count, each time, a request that the cache answers again and again: figures looked up once."""
        outcome = CACHE_WORDS.get(decision.cache.outcome, "")
        requests = self._requests.labels(decision.strategy, _task_of(decision), outcome, "")
        step, first_token = self._latency.labels("look_up"), self._first_token.labels()
        savings, saved = self._cache_savings.labels(), decision.savings.cache_nanousd

        def count(seconds: float) -> None:
            requests.value += 1
            savings.value += saved
            step.observe(seconds)
            first_token.observe(seconds)

        return count


def _task_of(decision: decision_pb2.Decision) -> str:
    """The task as a label: a policy of one request can make up its own."""
    made_up = decision.policy == INLINE and decision.task_type not in TASK_TYPES
    return OTHER_TASK if made_up else decision.task_type
