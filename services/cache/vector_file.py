"""The file that a cache leaves its vectors in: read at the start, written at the stop, away from the event loop.

A file that cannot be used is set aside, and said; then the vectors come from storage, and indexes are made anew.
"""

from __future__ import annotations

from pathlib import Path

from services.cache import snapshot
from services.cache.snapshot import Snapshot, SnapshotUnusable
from services.chassis.clock import Clock
from services.chassis.executor import Executor
from services.chassis.logs import Log


class VectorFile:
    """The file of one cache process."""

    def __init__(self, path: Path, *, log: Log, clock: Clock) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._executor = Executor(threads=1)

    async def read(self) -> Snapshot | None:
        """What an earlier process left; None where there is nothing that can be used."""
        return await self._executor.run(self._read)

    async def save(self, taken: Snapshot | None) -> None:
        """Leave it in the place of an older one; None: the older one stays. Its indexes may not change meanwhile."""
        if taken is not None:
            await self._executor.run(self._save, taken)

    def close(self) -> None:
        """Let go of the thread."""
        self._executor.close()

    def _read(self) -> Snapshot | None:
        try:
            return snapshot.read(self._path)
        except SnapshotUnusable as failure:
            self._set_aside(str(failure))
        except OSError as failure:
            self._log.warning("cache_vectors_unread", file=str(self._path), cause=failure.strerror)
        return None

    def _save(self, taken: Snapshot) -> None:
        try:
            snapshot.save(self._path, taken)
        except OSError as failure:
            self._log.warning("cache_vectors_unwritten", file=str(self._path), cause=failure.strerror)

    def _set_aside(self, cause: str) -> None:
        aside = self._path.with_name(f"{self._path.name}.broken-{int(self._clock.wall() * 1000)}")
        self._log.warning("cache_vectors_set_aside", file=str(self._path), moved_to=str(aside), cause=cause)
        try:
            self._path.replace(aside)
        except OSError as failure:
            self._log.warning("cache_vectors_unmoved", file=str(self._path), cause=failure.strerror)
