"""The seam of keeping: where changes of the table go, and from where those of other replicas come."""

from __future__ import annotations

from typing import Protocol

from services.cache.entry import Entry
from services.cache.fingerprint import Fingerprint


class Changes(Protocol):
    """Takes up what an earlier process and other replicas did.

    Called on the event loop, in the order in which it was done.
    """

    def kept_before(self, entries: list[Entry]) -> None:
        """Kept before this process began, newest first, over several calls. What was learned is told before."""

    def kept_elsewhere(self, entry: Entry) -> None:
        """Another replica kept the entry; its vector is with it."""

    def forgotten_elsewhere(self, fingerprint: Fingerprint) -> None:
        """Another replica was told to forget the entry."""

    def learned_elsewhere(self, kind: str, key: bytes, value: bytes) -> None:
        """Another replica, or an earlier process, learned something."""


class Keeper(Protocol):
    """Keeps entries beyond this table: on disk, or for all replicas. No method raises for want of the store."""

    @property
    def shared(self) -> bool:
        """Whether entries are shared between replicas right now."""

    async def start(self, changes: Changes, *, most_entries: int, most_bytes: int, mark: int = 0) -> None:
        """Begin, and tell what was learned and kept before; without the vectors up to `mark`, that of a snapshot."""

    async def mark(self) -> int:
        """Write what waits; which entry is then the last one. 0: it cannot be said."""

    def put(self, entry: Entry) -> None:
        """Have the entry kept, in place of an older one of the same request."""

    def remove(self, fingerprint: Fingerprint, *, forgotten: bool) -> None:
        """The entry left the table: it was forgotten on demand, or it is over or had to make room."""

    def learned(self, kind: str, key: bytes, value: bytes) -> None:
        """Have what was learned kept, in place of an older value of the key.

        "wrong", "epoch" and "forgotten" reach all replicas, also those that are away now; "threshold" stays here.
        """

    async def lead(self, fingerprint: Fingerprint, holder: str, seconds: float) -> tuple[bool, float] | None:
        """(whether `holder` may ask the model for all replicas, seconds until that ends); None: it cannot be said."""

    def end_lead(self, fingerprint: Fingerprint) -> None:
        """No answer will come: nobody leads any more. An entry that is put ends it by itself."""

    async def flush(self) -> None:
        """Write what waits now; returns also when that fails."""

    async def stop(self) -> None:
        """Write what waits, and let go."""
