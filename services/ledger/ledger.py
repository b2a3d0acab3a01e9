"""The queue before a ledger: records wait here, and go out in batches as JSON lines and as rows of a file.

What waits is bounded; what does not fit any more is counted, by why it was lost: the hot path never waits for a disk.
A batch that the disk refuses waits and is tried again; its lines are out already, and are the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from services.chassis.clock import Clock
from services.chassis.errors import Overloaded
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.ledger.file import LedgerFailed, LedgerFile
from services.ledger.table import Row, Table, Value

_MOST_WAITING = 20_000
_BATCH = 1_024
_MOST_READERS = 32
_PAUSE_SECONDS = 0.25
_PAUSE_AFTER_FAILURE_SECONDS = 5.0
_BETWEEN_WARNINGS_SECONDS = 60.0
_BETWEEN_CLEANINGS_SECONDS = 3_600.0


class Book(Protocol):
    """Where records go."""

    def add(self, row: Row) -> None:
        """Keep the record; returns at once and raises nothing."""


class NoBook:
    """Keeps nothing: the ledger is off."""

    def add(self, row: Row) -> None:
        """Forget it."""


class Ledger:
    """One ledger of one process. `on_lost` hears how many records did not reach the file, and why."""

    def __init__(
        self,
        table: Table,
        path: Path,
        *,
        log: Log,
        clock: Clock,
        keep: timedelta,
        on_lost: Callable[[int, str], None],
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._table = table
        self._path = path
        self._file = LedgerFile(path, table, log)
        self._log = log
        self._clock = clock
        self._keep = keep
        self._on_lost = on_lost
        self._most_waiting = most_waiting
        self._waiting: deque[Row] = deque()
        # Their lines are out; the file did not take them yet.
        self._refused: list[Row] = []
        self._executor = Executor(threads=1)
        self._added = asyncio.Event()
        self._one_flush = asyncio.Lock()
        self._readers = 0
        self._loop: asyncio.Task[None] | None = None
        self._warned_at: float | None = None
        self._cleaned_at: float | None = None
        # What the wall clock said when the monotonic one was at 0.
        self._began = clock.wall() - clock.monotonic()

    def add(self, row: Row) -> None:
        """Keep the record, values in the order of the table's columns."""
        if len(self._waiting) >= self._most_waiting:
            self._on_lost(1, "queue_full")
            return
        self._waiting.append(row)
        if len(self._waiting) == 1:
            self._added.set()

    def start(self) -> None:
        """Begin to write."""
        self._loop = asyncio.create_task(self._run(), name=f"ledger-{self._table.name}")

    async def stop(self) -> None:
        """Write what waits, and let go of the file."""
        if self._loop is not None:
            async with self._one_flush:  # so that no batch is under way
                self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        await self.flush()
        if self._refused:
            self._on_lost(len(self._refused), "storage")
        await self._executor.run(self._file.close)
        self._executor.close()

    async def flush(self) -> bool:
        """Write all that waits now; false: the file did not take it. Goes on where its caller is given up."""
        return await asyncio.shield(asyncio.ensure_future(self._flushed()))

    async def _flushed(self) -> bool:
        async with self._one_flush:
            # No more than waits now: under load there would always be one more row, and a batch for each.
            left = len(self._waiting)
            while left > 0 or self._refused:
                fresh = [self._waiting.popleft() for _ in range(min(left, _BATCH))]
                left -= len(fresh)
                waiting, self._refused = self._refused + fresh, []
                try:
                    await self._executor.run(self._write, fresh, waiting)
                except LedgerFailed as failure:
                    self._refused = waiting[-self._most_waiting :]
                    if lost := len(waiting) - len(self._refused):
                        self._on_lost(lost, "storage")
                    self._warn(failure)
                    return False
            return True

    async def read(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        """The rows of a query, what waits included. Raises LedgerFailed, also where that cannot be, and Overloaded."""
        if self._readers >= _MOST_READERS:  # rows that are to be written wait behind them
            raise Overloaded(queue="ledger", retry_after=timedelta(seconds=1))
        self._readers += 1
        try:
            if not await self.flush():
                raise LedgerFailed("what waits cannot be written")
            return await self._executor.run(self._file.read, query, values)
        finally:
            self._readers -= 1

    def _write(self, fresh: list[Row], waiting: list[Row]) -> None:
        """In the thread: the lines first."""
        self._log.records(self._table.name, self._table.lines(fresh))
        self._file.append(waiting)

    async def _run(self) -> None:
        while True:
            await self._added.wait()
            await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS if self._refused else _PAUSE_SECONDS)
            self._added.clear()
            try:
                if not await self.flush() or self._waiting:
                    self._added.set()
                await self._clean()
            except Exception as failure:  # the loop must outlive our mistakes
                self._log.error("ledger_failed", failure, ledger=self._table.name)

    async def _clean(self) -> None:
        """Drop what is older than it has to be, now and then."""
        now = self._clock.monotonic()
        if self._cleaned_at is not None and now - self._cleaned_at < _BETWEEN_CLEANINGS_SECONDS:
            return
        self._cleaned_at = now
        # A wall clock that jumps ahead takes no rows along.
        wall = min(self._clock.wall(), self._began + now)
        oldest = int((wall - self._keep.total_seconds()) * 1000)
        try:
            await self._executor.run(self._file.drop_before, oldest)
        except LedgerFailed as failure:
            self._warn(failure)

    def _warn(self, failure: LedgerFailed) -> None:
        now = self._clock.monotonic()
        if self._warned_at is None or now - self._warned_at >= _BETWEEN_WARNINGS_SECONDS:
            self._warned_at = now
            self._log.warning(
                "ledger_storage_failed", ledger=self._table.name, file=str(self._path), cause=str(failure)
            )
