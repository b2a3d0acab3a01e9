"""Which epoch each tenant is in: nothing that was stored in an earlier one is found again. No I/O, no clock of its own.

An epoch is part of every fingerprint, so an entry of an earlier one cannot be found, wherever it is kept. It is
named after the moment at which it began, in milliseconds, so that of two that replicas began apart the later one holds.
"""

from __future__ import annotations

import struct

from services.cache.fingerprint import wall

_NUMBER = struct.Struct(">Q")


class Epochs:
    """The epochs of tenants; those that never began one are in the operator's own (`base`)."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._begun: dict[str, int] = {}

    def of(self, tenant: str) -> str:
        """The tenant's epoch, as it is part of fingerprints."""
        begun = self._begun.get(tenant)
        return str(self._base) if begun is None else f"{self._base}.{begun}"

    def wall(self, tenant: str) -> bytes:
        """How the scope part of every request of the tenant begins now."""
        return wall(tenant, self.of(tenant))

    def begin(self, tenant: str, now: float) -> bytes:
        """Begin a new one at `now`, seconds of the wall clock; its number for take()."""
        self._begun[tenant] = max(int(now * 1000), self._begun.get(tenant, 0) + 1)
        return _NUMBER.pack(self._begun[tenant])

    def take(self, tenant: str, number: bytes) -> bool:
        """Another replica or an earlier process began one; whether it is news."""
        if len(number) != _NUMBER.size or _NUMBER.unpack(number)[0] <= self._begun.get(tenant, 0):
            return False
        self._begun[tenant] = _NUMBER.unpack(number)[0]
        return True
