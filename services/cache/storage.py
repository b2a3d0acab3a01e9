"""Where entries are kept so that they outlast the process; and in memory, where they need not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from services.cache.entry import Entry, Moment
from services.cache.fingerprint import Fingerprint

Learned = Mapping[tuple[str, bytes], bytes]


class StorageFailed(Exception):
    """Nothing could be read, or nothing of the batch was written. The text names the cause, no content."""


class Storage(Protocol):
    """Entries by fingerprint. All methods block and are called by one thread at a time; all may raise StorageFailed.

    Files are opened by the first `load` or `write`, never before, and again by the next one after a failure.
    """

    def load(self, now: Moment, *, most_entries: int, most_bytes: int, mark: int = 0) -> Iterator[Entry]:
        """The entries that may still be served, newest first, within both bounds; at the end the others are removed.

        Nothing else is called until then. Vectors of those up to `mark`, a mark() of before, are left out: a snapshot
        has them.
        """

    def mark(self) -> int:
        """The number of the entry that was written last; those of later ones are larger. 0: nothing outlasts us."""

    def learned(self) -> dict[tuple[str, bytes], bytes]:
        """What was learned, by kind and key."""

    def write(
        self, changes: Mapping[Fingerprint, Entry | None], *, wipe: bool = False, learned: Learned | None = None
    ) -> None:
        """All changes or none: an entry is put, None removes, and what was learned is kept.

        `wipe`: remove all entries before.
        """

    def close(self) -> None:
        """Let go of files. May be called twice."""


class MemoryStorage:
    """Keeps entries as long as the process lives: for when nothing is to be written."""

    def __init__(self) -> None:
        # Latest written last.
        self._entries: dict[Fingerprint, Entry] = {}
        self._learned: dict[tuple[str, bytes], bytes] = {}

    def load(self, now: Moment, *, most_entries: int, most_bytes: int, mark: int = 0) -> Iterator[Entry]:  # noqa: ARG002
        kept: list[Entry] = []
        used = 0
        for entry in reversed(self._entries.values()):
            if entry.is_over(now) or len(kept) >= most_entries or used + entry.size() > most_bytes:
                continue
            kept.append(entry)
            used += entry.size()
        self._entries = {entry.fingerprint: entry for entry in reversed(kept)}
        return iter(kept)

    def mark(self) -> int:
        return 0

    def learned(self) -> dict[tuple[str, bytes], bytes]:
        return dict(self._learned)

    def write(
        self, changes: Mapping[Fingerprint, Entry | None], *, wipe: bool = False, learned: Learned | None = None
    ) -> None:
        self._learned.update(learned or {})
        if wipe:
            self._entries.clear()
        for fingerprint, entry in changes.items():
            self._entries.pop(fingerprint, None)
            if entry is not None:
                self._entries[fingerprint] = entry

    def close(self) -> None:
        pass
