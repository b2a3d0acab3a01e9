"""Figures for Prometheus: one registry per process, served on a port of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from services.chassis.counting import Counter, Histogram
from services.chassis.settings import StartError

# What the label `method` says of a call to a method that nobody registered: the caller chose the name.
OTHER_METHOD = "other"
# Seconds. Wide enough for a cache hit and for a long answer.
LATENCY_BUCKETS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120,
    300,
)


class CallMetrics:
    """What every gRPC server counts. Labels are bounded: methods that are registered or `other`, codes of gRPC."""

    def __init__(self, registry: CollectorRegistry) -> None:
        started = Counter(
            "omnisphere_grpc_server_call_started",
            "Calls that arrived.",
            ["method"],
            registry=registry,
        )
        duration = Histogram(
            "omnisphere_grpc_server_call_duration_seconds",
            "From arrival to the last byte.",
            ["method", "code"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge("omnisphere_grpc_server_calls_in_flight", "Calls being served now.", registry=registry)
        self.started = started.labels
        self.duration = duration.labels

    def watch(self, in_flight: Callable[[], int]) -> None:
        """Read how many calls are being served whenever somebody asks."""
        self._in_flight.set_function(in_flight)


class MetricsEndpoint:
    """The /metrics listener; `port` is the real one where 0 was asked for."""

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except OSError as failure:
            raise StartError(f"metrics port {host}:{port} cannot be opened: {failure.strerror}") from failure
        except OverflowError as failure:
            raise StartError(f"metrics port {host}:{port} cannot be opened: not a port") from failure
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
