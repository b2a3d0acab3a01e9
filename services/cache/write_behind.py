"""Brings changes of the table to storage, later and in batches, away from the event loop.

What waits is bounded. Beyond the bound a new entry stays in memory alone, and is counted: it is a cache. A removal is
never dropped, else a forgotten answer came back with the next start; where removals pile up because the disk fails,
the file is wiped as a whole before the next write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import islice

from services.cache.entry import Entry, Moment
from services.cache.fingerprint import Fingerprint
from services.cache.replicas import Changes
from services.cache.storage import Storage, StorageFailed
from services.chassis.clock import Clock
from services.chassis.executor import Executor
from services.chassis.logs import Log

_MOST_WAITING = 10_000
_MOST_REMOVALS = 250_000
_BATCH = 500
# So few that calls are answered meanwhile.
_LOADED_AT_ONCE = 500
# Long enough to gather a batch, short enough that a killed process loses little.
_PAUSE_SECONDS = 0.1
_PAUSE_AFTER_FAILURE_SECONDS = 5.0
_BETWEEN_WARNINGS_SECONDS = 60.0


class WriteBehind:
    """The queue before one storage. `on_dropped` hears how many entries did not reach it."""

    def __init__(
        self,
        storage: Storage,
        *,
        log: Log,
        clock: Clock,
        on_dropped: Callable[[int], None],
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._storage = storage
        self._log = log
        self._clock = clock
        self._on_dropped = on_dropped
        self._most_waiting = most_waiting
        # One thread: SQLite sees one call at a time.
        self._executor = Executor(threads=1)
        # The last change of each fingerprint; None removes.
        self._waiting: dict[Fingerprint, Entry | None] = {}
        self._learned: dict[tuple[str, bytes], bytes] = {}
        self._wipe = False
        self._changed = asyncio.Event()
        self._one_flush = asyncio.Lock()
        self._failed_last = False
        self._warned_at: float | None = None
        self._loop: asyncio.Task[None] | None = None

    def put(self, entry: Entry) -> None:
        """Have the entry written, in place of an older one of the same request."""
        if len(self._waiting) >= self._most_waiting and entry.fingerprint not in self._waiting:
            # An older answer of the request may still be in the file: better none than that one.
            self.remove(entry.fingerprint)
            self._on_dropped(1)
            return
        self._waiting[entry.fingerprint] = entry
        self._changed.set()

    @property
    def shared(self) -> bool:
        """Never: the file is one process's own."""
        return False

    def remove(self, fingerprint: Fingerprint, *, forgotten: bool = False) -> None:  # noqa: ARG002
        """Have the entry removed, for whatever reason it left."""
        self._waiting[fingerprint] = None
        self._changed.set()
        if len(self._waiting) > self._most_waiting + _MOST_REMOVALS:
            self._on_dropped(sum(entry is not None for entry in self._waiting.values()))
            self._waiting.clear()
            self._wipe = True

    async def start(self, changes: Changes, *, most_entries: int, most_bytes: int, mark: int = 0) -> None:
        """Begin to write, and tell what storage kept from before; nothing where it cannot be read."""
        now = Moment(self._clock.wall(), self._clock.monotonic())
        try:
            for (kind, key), value in (await self._executor.run(self._storage.learned)).items():
                changes.learned_elsewhere(kind, key, value)
            entries = self._storage.load(now, most_entries=most_entries, most_bytes=most_bytes, mark=mark)
            coming = asyncio.create_task(self._executor.run(_next, entries))
            while batch := await coming:
                # The disk is read meanwhile.
                coming = asyncio.create_task(self._executor.run(_next, entries))
                changes.kept_before(batch)
        except StorageFailed as failure:
            self._warn(failure)
        self._loop = asyncio.create_task(self._run(), name="cache-write-behind")

    async def mark(self) -> int:
        """Write what waits; which entry is then the last one in storage. 0: it cannot be said."""
        await self.flush()
        if self._waiting:
            return 0  # the disk fails
        with contextlib.suppress(StorageFailed):
            return await self._executor.run(self._storage.mark)
        return 0

    def learned(self, kind: str, key: bytes, value: bytes) -> None:
        """Have what was learned kept. Bounded by what may be learned."""
        if kind == "forgotten":
            return  # each of those entries is removed by itself
        self._learned[(kind, key)] = value
        self._changed.set()

    async def lead(self, fingerprint: Fingerprint, holder: str, seconds: float) -> tuple[bool, float] | None:  # noqa: ARG002
        """Not for us to say: there are no other replicas."""
        return None

    def end_lead(self, fingerprint: Fingerprint) -> None:
        """Nobody to tell."""

    async def flush(self) -> None:
        """Write all that waits now; returns also when that fails."""
        async with self._one_flush:
            # No more than waits now: under load there would always be one more entry, and a batch for each.
            left = len(self._waiting)
            while left > 0 or self._wipe or self._learned:
                batch = dict(islice(self._waiting.items(), _BATCH))
                left -= len(batch)
                for fingerprint in batch:
                    del self._waiting[fingerprint]
                wipe, self._wipe = self._wipe, False
                learned, self._learned = self._learned, {}
                try:
                    await self._executor.run(self._storage.write, batch, wipe=wipe, learned=learned)
                    self._failed_last = False
                except asyncio.CancelledError:
                    # Whether it was written is not known; writing it again does no harm.
                    self._wipe = wipe or self._wipe
                    self._learned = learned | self._learned
                    self._waiting = batch | self._waiting
                    self._changed.set()
                    raise
                except StorageFailed as failure:
                    self._failed_last = True
                    self._wipe = wipe or self._wipe
                    self._learned = learned | self._learned
                    self._put_back(batch)
                    self._warn(failure)
                    return

    async def stop(self) -> None:
        """Write what waits, and let go of storage."""
        if self._loop is not None:
            async with self._one_flush:  # so that no batch is under way
                self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        await self.flush()
        await self._executor.run(self._storage.close)
        self._executor.close()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS if self._failed_last else _PAUSE_SECONDS)
            self._changed.clear()
            try:
                await self.flush()
            except Exception as failure:  # the loop must outlive our mistakes
                self._log.error("cache_write_behind_failed", failure)

    def _put_back(self, batch: dict[Fingerprint, Entry | None]) -> None:
        """After a failure: removals wait on, unless something newer does; entries stay in memory alone."""
        self._on_dropped(sum(entry is not None for entry in batch.values()))
        for fingerprint in batch:
            if fingerprint not in self._waiting:
                # Also for a dropped entry: the file may hold an older answer of its request.
                self.remove(fingerprint)

    def _warn(self, failure: StorageFailed) -> None:
        now = self._clock.monotonic()
        if self._warned_at is None or now - self._warned_at >= _BETWEEN_WARNINGS_SECONDS:
            self._warned_at = now
            self._log.warning("cache_storage_failed", cause=str(failure))


def _next(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, _LOADED_AT_ONCE))
