"""What the HTTP edge counts. Labels are bounded: routes that there are, statuses that we send."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from services.chassis.counting import Counter, Histogram
from services.chassis.metrics import LATENCY_BUCKETS

# What is counted where the caller hung up before an answer; the word is nginx's.
HUNG_UP = 499


class EdgeMetrics:
    """Requests by route and status, how long they took, and how many there are now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "omnisphere_http_server_requests",
            "Requests that were answered or given up; an unknown path is the route other.",
            ["route", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "omnisphere_http_server_request_duration_seconds",
            "From the head of the request to the last byte of the answer.",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "omnisphere_http_server_requests_in_flight", "Requests being served now.", registry=registry
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one finished request."""
        self._requests.labels(route, str(status)).inc()
        self._duration.labels(route).observe(seconds)
