"""Names and labels of what is learned about answers: verdicts, outcomes, and work in the shadow of requests."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from omnisphere.router.v1 import decision_pb2
from services.chassis.counting import Counter, Histogram

_JUDGES = {value: name.removeprefix("JUDGE_").lower() for name, value in decision_pb2.Verdict.Judge.items()}


class LearningMetrics:
    """What the router counts of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hit_checks = Counter(
            "omnisphere_router_shadow_checks_total",
            "Checks of cached answers by what came of them.",
            ["check"],
            registry=registry,
        )
        self.outcomes = Counter(
            "omnisphere_router_outcomes",
            "How good answers were, by who said it; other_artefact: not learned from; untold: not told other routers.",
            ["source"],
            registry=registry,
        )
        self.outcomes_shared = Gauge(
            "omnisphere_router_outcomes_shared",
            "1: outcomes are shared with other routers; 0: Redis is away, or not configured.",
            registry=registry,
        )
        self._explored = Counter(
            "omnisphere_router_explored",
            "Requests that other models were asked, too, to learn of them, by what came of it.",
            ["result"],
            registry=registry,
        )
        self._verdicts = Counter(
            "omnisphere_router_verdicts",
            "Answers of cascades, by how they were judged and whether they were accepted.",
            ["model", "judge", "accepted"],
            registry=registry,
        )
        self._confidence = Histogram(
            "omnisphere_router_verdict_confidence_ratio",
            "The probability that an answer is good, as its judge saw it.",
            ["judge"],
            buckets=[place / 10 for place in range(1, 11)],
            registry=registry,
        )
        self._escalations = Counter(
            "omnisphere_router_escalations", "Models that took over after a verdict.", ["model"], registry=registry
        )
        # There from the start: Prometheus does not see a series rise that begins with 1.
        for source in ("feedback", "judge", "shadow", "other_artefact", "untold"):
            self.outcomes.labels(source)
        for check in ("right", "wrong", "unknown", "queue_full", "budget"):
            self._hit_checks.labels(check)
        for result in ("learned", "unknown", "no_answer", "queue_full", "budget"):
            self._explored.labels(result)

    def judged(self, decision: decision_pb2.Decision) -> None:
        """Count the verdicts of a request, and the models that took over after them."""
        if decision.escalations:
            self._escalations.labels(decision.model).inc(decision.escalations)
        for verdict in decision.verdicts:
            judge = _JUDGES[verdict.judge]
            self._verdicts.labels(verdict.model, judge, "yes" if verdict.accepted else "no").inc()
            self._confidence.labels(judge).observe(verdict.confidence)

    def hit_check(self, result: str) -> None:
        """Count a check of a cached answer."""
        self._hit_checks.labels(result).inc()

    def explored(self, result: str) -> None:
        """Count a request that others were asked, too."""
        self._explored.labels(result).inc()
