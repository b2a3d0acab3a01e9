"""How often each tenant's look-ups found something, since the process started."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from omnisphere.cache.v1 import cache_service_pb2 as pb

_MOST_TENANTS = 10_000


@dataclass(slots=True)
class Counts:
    """Look-ups of one tenant by what came of them, in the words of the contract."""

    exact_hits: int = 0
    semantic_hits: int = 0
    misses: int = 0
    not_eligible: int = 0


class Tally:
    """Counts per tenant; beyond `most_tenants` those of the tenant that was silent longest are forgotten."""

    def __init__(self, *, most_tenants: int = _MOST_TENANTS) -> None:
        self._most_tenants = most_tenants
        # Silent longest first.
        self._counts: OrderedDict[str, Counts] = OrderedDict()

    def add(self, tenant: str, outcome: pb.CacheOutcome.ValueType) -> None:
        """Count one look-up."""
        counts = self._counts.get(tenant)
        if counts is None:
            counts = self._counts[tenant] = Counts()
            if len(self._counts) > self._most_tenants:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(tenant)
        if outcome == pb.CACHE_OUTCOME_EXACT_HIT:
            counts.exact_hits += 1
        elif outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT:
            counts.semantic_hits += 1
        elif outcome in (pb.CACHE_OUTCOME_MISS, pb.CACHE_OUTCOME_STALE):
            counts.misses += 1
        else:
            counts.not_eligible += 1

    def of(self, tenant: str) -> Counts:
        """The tenant's counts, for reading."""
        return self._counts.get(tenant) or Counts()
