"""The exact table: which answer was kept for the very same request? No I/O, no clock of its own.

Bounded by entries and bytes, in all and per tenant; who leaves first says eviction.py. A tenant that is full loses
entries of its own alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from services.cache.entry import Entry, Moment
from services.cache.eviction import SegmentedOrder
from services.cache.fingerprint import Asked, Fingerprint, is_behind
from services.cache.selection import Selection


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a look-up. `entry` on a hit alone."""

    state: Literal["hit", "stale", "miss"]
    entry: Entry | None = None


_MISS, _STALE = Found("miss"), Found("stale")


class Removed(Protocol):
    """Hears of an entry that left the table."""

    def __call__(self, fingerprint: Fingerprint, *, forgotten: bool) -> None: ...


class ExactTable:
    """Answers by fingerprint. The tenant is part of the fingerprint: a foreign entry cannot be found.

    `on_removed` hears of every entry that leaves, and whether it was forgotten on demand; not of one that is replaced.
    """

    def __init__(self, *, most_entries: int, most_bytes: int, on_removed: Removed, tenant_share: float = 1.0) -> None:
        """`tenant_share` of both bounds is what one tenant may have."""
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._tenant_entries = max(1, int(most_entries * tenant_share))
        self._tenant_bytes = int(most_bytes * tenant_share)
        self._on_removed = on_removed
        self._entries: dict[Fingerprint, Entry] = {}
        self._order = SegmentedOrder()
        # Where the sweep goes on.
        self._unswept: list[Fingerprint] = []
        self._by_id: dict[str, Fingerprint] = {}
        self._holdings: dict[str, _Holding] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def total_bytes(self) -> int:
        """The memory that all entries take, roughly."""
        return self._bytes

    def holding(self, tenant: str) -> tuple[int, int]:
        """How many entries the tenant has, and their bytes."""
        held = self._holdings.get(tenant)
        return (len(held.order), held.bytes) if held else (0, 0)

    def get(self, fingerprint: Fingerprint) -> Entry | None:
        """The entry with this fingerprint, whether or not its time is up."""
        return self._entries.get(fingerprint)

    def named(self, entry_id: str, wall: bytes) -> Entry | None:
        """The entry of that name, where it is behind the wall."""
        fingerprint = self._by_id.get(entry_id)
        entry = None if fingerprint is None else self._entries[fingerprint]
        return entry if entry is not None and is_behind(wall, entry.canonical) else None

    def touch(self, fingerprint: Fingerprint) -> None:
        """The entry was used."""
        self._use(self._entries[fingerprint])

    def look_up(self, asked: Asked, *, now: Moment, max_age: float | None, touch: bool = True) -> Found:
        """The entry of the very same request, not older than `max_age` seconds (None: any age within its life).

        Without `touch` the table stays as it is, also in its order.
        """
        entry = self._entries.get(asked.fingerprint)
        if entry is None or entry.canonical != asked.canonical:
            return _MISS
        return self._fresh(entry, now=now, max_age=max_age, touch=touch)

    def still(self, entry_id: str, wall: bytes, *, now: Moment, max_age: float | None, touch: bool = True) -> Found:
        """The entry of that name, as long as it is behind the caller's own wall and serves; as look_up() else."""
        fingerprint = self._by_id.get(entry_id)
        if fingerprint is None:
            return _MISS
        entry = self._entries[fingerprint]
        if not is_behind(wall, entry.canonical):
            return _MISS
        return self._fresh(entry, now=now, max_age=max_age, touch=touch)

    def _fresh(self, entry: Entry, *, now: Moment, max_age: float | None, touch: bool) -> Found:
        if entry.is_over(now):
            if touch:
                self._remove(entry)
            return _MISS
        if max_age is not None and entry.age(now) > max_age:
            return _STALE
        if touch:
            self._use(entry)
        return Found("hit", entry)

    def put(self, entry: Entry) -> bool:
        """Keep the entry, in place of an older one of the same request; false: its tenant may not have so much."""
        size = entry.size()
        if size > self._tenant_bytes:
            return False
        before = self._entries.get(entry.fingerprint)
        if before is not None:
            self._take_out(before)
        self._entries[entry.fingerprint] = entry
        self._order.add(entry.fingerprint)
        self._by_id[entry.entry_id] = entry.fingerprint
        held = self._holdings.get(entry.tenant)
        if held is None:
            held = self._holdings[entry.tenant] = _Holding()
        held.order.add(entry.fingerprint)
        held.bytes += size
        self._bytes += size
        while len(held.order) > self._tenant_entries or held.bytes > self._tenant_bytes:
            self._remove(self._entries[held.order.next(but=entry.fingerprint)])
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            self._remove(self._entries[self._order.next(but=entry.fingerprint)])
        return True

    def sweep(self, now: Moment, count: int) -> int:
        """Look at the next `count` entries, and drop those whose time is up; how many that were."""
        if not self._unswept:
            self._unswept = list(self._entries)
        batch, self._unswept = self._unswept[-count:], self._unswept[:-count]
        found = [self._entries[name] for name in batch if name in self._entries]
        over = [entry for entry in found if entry.is_over(now)]
        for entry in over:
            self._remove(entry)
        return len(over)

    def restore(self, entry: Entry) -> None:
        """Put an entry from an earlier life of the process, unless the request was answered anew since."""
        if entry.fingerprint not in self._entries:
            self.put(entry)

    def forget(
        self, tenant: str, selection: Selection, *, now: Moment, dry_run: bool = False, elsewhere: bool = False
    ) -> int:
        """Drop the tenant's entries that match; how many of them could still have been served.

        `elsewhere`: another replica was told to, and tells the others.
        """
        held = self._holdings.get(tenant)
        owned = [self._entries[fingerprint] for fingerprint in held.order.all()] if held else []
        matching = [entry for entry in owned if selection.takes(entry)]
        living = sum(not entry.is_over(now) for entry in matching)
        if not dry_run:
            for entry in matching:
                self._remove(entry, forgotten=not elsewhere)
        return living

    def drop(self, fingerprint: Fingerprint) -> None:
        """The entry was forgotten elsewhere."""
        if (entry := self._entries.get(fingerprint)) is not None:
            self._remove(entry)

    def _use(self, entry: Entry) -> None:
        self._order.use(entry.fingerprint)
        self._holdings[entry.tenant].order.use(entry.fingerprint)

    def _remove(self, entry: Entry, *, forgotten: bool = False) -> None:
        self._take_out(entry)
        self._on_removed(entry.fingerprint, forgotten=forgotten)

    def _take_out(self, entry: Entry) -> None:
        del self._entries[entry.fingerprint]
        self._order.remove(entry.fingerprint)
        del self._by_id[entry.entry_id]
        held = self._holdings[entry.tenant]
        held.order.remove(entry.fingerprint)
        held.bytes -= entry.size()
        self._bytes -= entry.size()
        if not len(held.order):
            del self._holdings[entry.tenant]


@dataclass(slots=True)
class _Holding:
    """What one tenant has in the table."""

    bytes: int = 0
    order: SegmentedOrder = field(default_factory=SegmentedOrder)
