"""Counts per tenant stay apart and bounded."""

from __future__ import annotations

from omnisphere.cache.v1 import cache_service_pb2 as pb
from services.cache.tally import Counts, Tally


def test_each_outcome_is_counted_once_under_its_tenant():
    tally = Tally()
    for outcome in pb.CacheOutcome.values():
        tally.add("a", outcome)
    # Unspecified, not eligible, bypassed, unavailable: what is neither a hit nor a miss.
    assert tally.of("a") == Counts(exact_hits=1, semantic_hits=1, misses=2, not_eligible=4)
    assert tally.of("b") == Counts()


def test_beyond_the_bound_the_longest_silent_tenant_is_forgotten():
    tally = Tally(most_tenants=2)
    for tenant in ("a", "b", "a", "c"):
        tally.add(tenant, pb.CACHE_OUTCOME_MISS)
    assert tally.of("a").misses == 2
    assert tally.of("b").misses == 0
    assert tally.of("c").misses == 1
