"""What the cache counts for Prometheus. Labels are the contract's own enum values."""

from __future__ import annotations

from collections.abc import Sized

from prometheus_client import CollectorRegistry, Gauge

from omnisphere.cache.v1 import cache_service_pb2 as pb
from services.cache.exact import ExactTable
from services.cache.replicas import Keeper
from services.chassis.counting import Counter


class CacheMetrics:
    """The service's figures. Children are looked up once: a label costs more than the count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        lookups = Counter(
            "omnisphere_cache_lookups_total", "Look-ups by what came of them.", ["outcome"], registry=registry
        )
        stores = Counter(
            "omnisphere_cache_stores_total",
            "Answers offered to keep: stored, or why not.",
            ["result"],
            registry=registry,
        )
        self.dropped_writes = Counter(
            "omnisphere_cache_dropped_writes_total",
            "Answers that are in memory but did not reach the disk.",
            registry=registry,
        )
        reports = Counter(
            "omnisphere_cache_reports_total",
            "Verdicts on answers by meaning that were checked.",
            ["verdict"],
            registry=registry,
        )
        self._reports = {
            value: reports.labels(name.removeprefix("VERDICT_").lower())
            for name, value in pb.ReportHitRequest.Verdict.items()
            if value
        }
        self._vectors = Gauge("omnisphere_cache_vectors", "Answers that are found by meaning, too.", registry=registry)
        self._shared = Gauge(
            "omnisphere_cache_shared", "1 while entries are shared between replicas, over Redis.", registry=registry
        )
        self._entries = Gauge("omnisphere_cache_entries", "Answers that are kept.", registry=registry)
        self._bytes = Gauge("omnisphere_cache_bytes", "Memory that they take, roughly.", registry=registry)
        self._lookups = {
            value: lookups.labels(name.removeprefix("CACHE_OUTCOME_").lower())
            for name, value in pb.CacheOutcome.items()
            if value not in (pb.CACHE_OUTCOME_UNSPECIFIED, pb.CACHE_OUTCOME_UNAVAILABLE)
        }
        self._refusals = {
            value: stores.labels(name.removeprefix("CACHE_REASON_").lower())
            for name, value in pb.CacheReason.items()
            if value != pb.CACHE_REASON_UNSPECIFIED
        }
        self._stored = stores.labels("stored")

    def watch(self, table: ExactTable, vectors: Sized, keeper: Keeper) -> None:
        """Read the sizes whenever somebody asks."""
        self._shared.set_function(lambda: float(keeper.shared))
        self._vectors.set_function(lambda: len(vectors))
        self._entries.set_function(lambda: len(table))
        self._bytes.set_function(lambda: table.total_bytes)

    def looked_up(self, outcome: pb.CacheOutcome.ValueType) -> None:
        """Count a look-up."""
        self._lookups[outcome].inc()

    def reported(self, verdict: pb.ReportHitRequest.Verdict.ValueType) -> None:
        """Count a verdict."""
        self._reports[verdict].inc()

    def stored(self) -> None:
        """Count an answer that is kept."""
        self._stored.inc()

    def refused(self, reason: pb.CacheReason.ValueType) -> None:
        """Count an answer that is not kept."""
        self._refusals[reason].inc()
