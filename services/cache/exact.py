"""The exact table: which answer was kept for the very same request? No I/O, no clock of its own.

Bounded by entries and bytes, in all and per tenant; who leaves first says eviction.py. A tenant that is full loses
entries of its own alone. An entry has a place, a small number, for as long as it is there; what else is known of it is
kept by its place, in arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from services.cache.entry import ID_BYTES, Entry, Moment, age, is_over
from services.cache.eviction import Links, SegmentedOrder
from services.cache.fingerprint import Asked, Fingerprint
from services.cache.places import NOWHERE, Places
from services.cache.records import Held, named, packed, record_is_over, unpacked
from services.cache.selection import Selection


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a look-up. `entry` on a hit alone, where the caller does not have it."""

    state: Literal["hit", "stale", "miss"]
    entry: Entry | None = None


_PLACES_AT_ONCE = 1_024
_MISS, _STALE, _HIT = Found("miss"), Found("stale"), Found("hit")


class Removed(Protocol):
    """Hears of an entry that left the table, and of the place that it had."""

    def __call__(self, place: int, entry: Entry, *, forgotten: bool) -> None: ...


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
        # By place; None: the place is free.
        self._records: list[bytes | None] = []
        self._free: list[int] = []
        self._places, self._by_id = Places(), Places()
        self._links, self._links_of_tenants = Links(), Links()
        self._order = SegmentedOrder(self._links)
        # Where the sweep goes on.
        self._unswept = 0
        self._holdings: dict[str, _Holding] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    @property
    def total_bytes(self) -> int:
        """The memory that all entries take, roughly."""
        return self._bytes

    def holding(self, tenant: str) -> tuple[int, int]:
        """How many entries the tenant has, and their bytes."""
        held = self._holdings.get(tenant)
        return (len(held.order), held.bytes) if held else (0, 0)

    def place_of(self, fingerprint: Fingerprint) -> int:
        """Where the entry is; NOWHERE where there is none. Fingerprints are told apart by their first ten bytes."""
        return self._places.find(fingerprint)

    def at(self, place: int) -> Entry | None:
        """The entry at a place, whether or not its time is up."""
        record = self._records[place]
        return None if record is None else unpacked(record)

    def name_at(self, place: int) -> Fingerprint:
        """The fingerprint of the entry at a place that is taken."""
        return self._at(place).fingerprint

    def get(self, fingerprint: Fingerprint) -> Entry | None:
        """The entry with this fingerprint, whether or not its time is up."""
        place = self._places.find(fingerprint)
        entry = None if place == NOWHERE else self._at(place)
        return entry if entry is not None and entry.fingerprint == fingerprint else None

    def named(self, entry_id: str, wall: bytes) -> Entry | None:
        """The entry of that name, where it is behind the wall."""
        name = _name(entry_id)
        place = self._by_id.find(name) if name else NOWHERE
        record = None if place == NOWHERE else self._records[place]
        return unpacked(record) if record is not None and named(record, name, wall) is not None else None

    def look_up(self, asked: Asked, *, now: Moment, max_age: float | None, touch: bool = True) -> Found:
        """The entry of the very same request, not older than `max_age` seconds (None: any age within its life).

        Without `touch` the table stays as it is, also in its order.
        """
        place = self._places.find(asked.fingerprint)
        record = None if place == NOWHERE else self._records[place]
        if record is None:
            return _MISS
        entry = unpacked(record, asked.fingerprint)
        if entry.canonical != asked.canonical:
            return _MISS
        found = self._fresh(place, entry, now=now, max_age=max_age, touch=touch)
        return Found("hit", entry) if found is _HIT else found

    def still(self, entry_id: str, wall: bytes, *, now: Moment, max_age: float | None, touch: bool = True) -> Found:
        """Whether the entry of that name is behind the caller's wall and serves; as look_up(), without the entry."""
        name = _name(entry_id)
        place = self._by_id.find(name) if name else NOWHERE
        record = None if place == NOWHERE else self._records[place]
        held = None if record is None else named(record, name, wall)
        if held is None:
            return _MISS
        return self._fresh(place, held, now=now, max_age=max_age, touch=touch)

    def _fresh(self, place: int, held: Held | Entry, *, now: Moment, max_age: float | None, touch: bool) -> Found:
        if is_over(held.stored_at, held.expires_at, held.age_zero, now):
            if touch:
                self._remove(place)
            return _MISS
        if max_age is not None and age(held.stored_at, held.age_zero, now) > max_age:
            return _STALE
        if touch:
            self._order.use(place)
            self._holdings[held.tenant].order.use(place)
        return _HIT

    def put(self, entry: Entry) -> bool:
        """Keep the entry, in place of an older one of the same request; false: its tenant may not have so much."""
        if entry.size() > self._tenant_bytes:
            return False
        place = self._places.find(entry.fingerprint)
        before = None if place == NOWHERE else self._at(place)
        if before is None:
            place = self._free_place()
        elif before.canonical == entry.canonical:
            self._take_out(place, before)
        else:  # ten bytes of two fingerprints are equal: one of them has to go
            self._remove(place)
            place = self._free_place()
        held = self._put_in(place, entry)
        self._order.add(place)
        held.order.add(place)
        while len(held.order) > self._tenant_entries or held.bytes > self._tenant_bytes:
            self._remove(held.order.next(but=place))
        while len(self._order) > self._most_entries or self._bytes > self._most_bytes:
            self._remove(self._order.next(but=place))
        return True

    def restore(self, entry: Entry) -> int:
        """Put an entry from an earlier life of the process before all others, unless its request was answered since.

        Where it is then. NOWHERE: there is no room for it, or it is there anew.
        """
        if self._places.find(entry.fingerprint) != NOWHERE:
            return NOWHERE
        if not self._has_room(entry.tenant, entry.size()):
            self._on_removed(NOWHERE, entry, forgotten=False)
            return NOWHERE
        place = self._free_place()
        held = self._put_in(place, entry)
        self._order.add_oldest(place)
        held.order.add_oldest(place)
        return place

    def sweep(self, now: Moment, count: int) -> int:
        """Look at the next `count` places, and drop the entries whose time is up; how many that were."""
        if self._unswept >= len(self._records):
            self._unswept = 0
        places = range(self._unswept, min(self._unswept + count, len(self._records)))
        self._unswept = places.stop
        over = [place for place in places if (record := self._records[place]) and record_is_over(record, now)]
        for place in over:
            self._remove(place)
        return len(over)

    def forget(
        self, tenant: str, selection: Selection, *, now: Moment, dry_run: bool = False, elsewhere: bool = False
    ) -> int:
        """Drop the tenant's entries that match; how many of them could still have been served.

        `elsewhere`: another replica was told to, and tells the others.
        """
        held = self._holdings.get(tenant)
        living = 0
        for place in list(held.order) if held else ():
            entry = self._at(place)
            if selection.takes(entry):
                living += not entry.is_over(now)
                if not dry_run:
                    self._remove(place, forgotten=not elsewhere)
        return living

    def drop(self, fingerprint: Fingerprint) -> None:
        """The entry was forgotten elsewhere."""
        if (place := self.place_of(fingerprint)) != NOWHERE:
            self._remove(place)

    def _at(self, place: int) -> Entry:
        record = self._records[place]
        assert record is not None  # noqa: S101 - places that are handed out are taken
        return unpacked(record)

    def _has_room(self, tenant: str, size: int) -> bool:
        entries, held = self.holding(tenant)
        return (
            entries < self._tenant_entries
            and held + size <= self._tenant_bytes
            and len(self._order) < self._most_entries
            and self._bytes + size <= self._most_bytes
        )

    def _free_place(self) -> int:
        if not self._free:
            first = len(self._records)
            self._records += [None] * _PLACES_AT_ONCE
            self._links.add_places(_PLACES_AT_ONCE)
            self._links_of_tenants.add_places(_PLACES_AT_ONCE)
            self._free.extend(range(first + _PLACES_AT_ONCE - 1, first - 1, -1))
        return self._free.pop()

    def _put_in(self, place: int, entry: Entry) -> _Holding:
        """Have it at the place, in no order yet; what its tenant has."""
        name = entry.id_bytes()
        self._records[place] = packed(entry, name)
        self._places.add(entry.fingerprint, place)
        self._by_id.add(name, place)
        held = self._holdings.get(entry.tenant)
        if held is None:
            held = self._holdings[entry.tenant] = _Holding(SegmentedOrder(self._links_of_tenants))
        size = entry.size()
        held.bytes += size
        self._bytes += size
        return held

    def _remove(self, place: int, *, forgotten: bool = False) -> None:
        entry = self._at(place)
        self._take_out(place, entry)
        self._records[place] = None
        self._free.append(place)
        self._on_removed(place, entry, forgotten=forgotten)

    def _take_out(self, place: int, entry: Entry) -> None:
        self._places.remove(entry.fingerprint, place)
        self._by_id.remove(entry.id_bytes(), place)
        self._order.remove(place)
        held = self._holdings[entry.tenant]
        held.order.remove(place)
        size = entry.size()
        held.bytes -= size
        self._bytes -= size
        if not len(held.order):
            del self._holdings[entry.tenant]


@dataclass(slots=True)
class _Holding:
    """What one tenant has in the table."""

    order: SegmentedOrder
    bytes: int = 0


def _name(entry_id: str) -> bytes:
    """The bytes of a name that comes from outside; empty where it is none."""
    try:
        name = bytes.fromhex(entry_id)
    except ValueError:
        return b""
    return name if len(name) == ID_BYTES else b""
