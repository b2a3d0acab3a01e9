"""The figures of this service. Labels are bounded: outcomes and places, never models or callers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.chassis.counting import Counter, Histogram
from services.chassis.metrics import LATENCY_BUCKETS


class ContextMetrics:
    """Names and labels of the metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.fits = Counter(
            "omnisphere_context_fits",
            "Fit calls: whole (all fitted), cut, or too_long (refused).",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("whole", "cut", "too_long"):  # there from the start
            self.fits.labels(outcome)
        self.cut_tokens = Counter(
            "omnisphere_context_cut_tokens",
            "Tokens that Fit left out, by their upper bound.",
            registry=registry,
        )
        self.counting_seconds = Histogram(
            "omnisphere_context_counting_seconds",
            "Counting one conversation: inline, or handed to the executor (its queue included).",
            ["place"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
