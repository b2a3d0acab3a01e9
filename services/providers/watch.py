"""What operators see of endpoints and keys: log lines and figures when one is left alone, or comes back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from services.chassis.logs import Log
from services.providers.metrics import ProvidersMetrics


class Watch(Protocol):
    """Hears what the picker decides. Names only: of endpoints, of keys, of reasons."""

    def out(self, endpoint: str, change: int) -> None:
        """A call goes out (1), or is over (-1)."""

    def breaker(self, endpoint: str, *, is_open: bool) -> None:
        """The endpoint is left alone after failures in a row, or answers again."""

    def rest(self, endpoint: str, key: str, reason: str) -> None:
        """A key (empty: the whole endpoint) is left alone for a while."""


class NoWatch:
    """Nobody looks."""

    def out(self, endpoint: str, change: int) -> None:
        """Nothing."""

    def breaker(self, endpoint: str, *, is_open: bool) -> None:
        """Nothing."""

    def rest(self, endpoint: str, key: str, reason: str) -> None:
        """Nothing."""


class LoggedWatch:
    """Log lines and metrics."""

    def __init__(self, metrics: ProvidersMetrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    def known(self, endpoints: Iterable[str]) -> None:
        """These are there: their figures begin at 0, as Prometheus does not see a series rise that begins with 1."""
        for endpoint in endpoints:
            self._metrics.breaker_open.labels(endpoint)
            self._metrics.breaker_opened.labels(endpoint)
            self._metrics.in_flight.labels(endpoint)

    def out(self, endpoint: str, change: int) -> None:
        """The calls in flight."""
        self._metrics.in_flight.labels(endpoint).inc(change)

    def breaker(self, endpoint: str, *, is_open: bool) -> None:
        """A state, how often it came to it, and a line."""
        self._metrics.breaker_open.labels(endpoint).set(is_open)
        if is_open:
            self._metrics.breaker_opened.labels(endpoint).inc()
            self._log.warning("breaker_opened", endpoint=endpoint)
        else:
            self._log.info("breaker_closed", endpoint=endpoint)

    def rest(self, endpoint: str, key: str, reason: str) -> None:
        """How often, and a line."""
        self._metrics.rests.labels(endpoint, key, reason).inc()
        self._log.info("rests", endpoint=endpoint, key=key, reason=reason)
