"""What Fit cut, so that Expand can give it back: written behind the answer, kept for a week, bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.clock import Clock
from services.chassis.errors import NotFound
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.context.store import Store, StoreFailed
from services.context.units import Unit

_KEEP_SECONDS = 7 * 86_400.0
_MOST_WAITING = 20_000
_MOST_WRITTEN = 100_000
_PUT = "INSERT OR REPLACE INTO cut (tenant, handle, at, messages) VALUES (?, ?, ?, ?)"
_DROP = "DELETE FROM cut WHERE at < ?"
_FIND = "SELECT messages FROM cut WHERE tenant = ? AND handle = ?"
_Key = tuple[str, str]


class CutTurns:
    """Units by tenant and handle. `keep` returns at once; where the file is away, what waits is kept in memory."""

    def __init__(self, store: Store, executor: Executor, clock: Clock, log: Log) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._log = log
        self._waiting: OrderedDict[_Key, bytes] = OrderedDict()
        self._written: OrderedDict[_Key, None] = OrderedDict()
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_failing = False

    def start(self) -> None:
        """Start to write."""
        self._task = asyncio.create_task(self._work(), name="context-cut-turns")

    async def stop(self) -> None:
        """Write what waits, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._flush()

    def is_known(self, tenant: str, handle: str) -> bool:
        """Whether it was kept before, so that nothing need be packed."""
        return (tenant, handle) in self._written or (tenant, handle) in self._waiting

    def keep(self, tenant: str, units: Iterable[tuple[str, Unit]], messages: Sequence[chat.Message]) -> None:
        """Keep these units (handle, unit) of `messages` soon."""
        for handle, unit in units:
            if not self.is_known(tenant, handle):
                said = [messages[index] for index in unit.messages]
                self._waiting[tenant, handle] = pb.ExpandResponse(messages=said).SerializeToString()
                if len(self._waiting) > _MOST_WAITING:
                    self._waiting.popitem(last=False)
        if self._waiting:
            self._due.set()

    async def expand(self, tenant: str, handles: Sequence[str]) -> pb.ExpandResponse:
        """The messages behind the handles, in order. Raises NotFound for one that is not there."""
        response = pb.ExpandResponse()
        for place, handle in enumerate(handles):
            packed = self._waiting.get((tenant, handle))
            if packed is None:
                packed = await self._executor.run(self._read, tenant, handle)
            if packed is None:
                raise NotFound(name=f"handles[{place}]")
            response.MergeFromString(packed)
        return response

    def _read(self, tenant: str, handle: str) -> bytes | None:
        try:
            rows = self._store.read(_FIND, (tenant, handle))
        except StoreFailed:
            return None
        return rows[0][0] if rows and isinstance(rows[0][0], bytes) else None

    async def _work(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            await self._flush()

    async def _flush(self) -> None:
        batch = dict(self._waiting)
        if not batch:
            return
        now = self._clock.wall()
        rows = [(tenant, handle, now, packed) for (tenant, handle), packed in batch.items()]
        try:
            await self._executor.run(self._store.write, (_PUT, rows), (_DROP, [(now - _KEEP_SECONDS,)]))
        except Exception as failure:
            if not self.is_failing:
                self._log.error("cut_turns_not_written", failure)
            self.is_failing = True
            return
        self.is_failing = False
        for key in batch:
            self._waiting.pop(key, None)
            self._written[key] = None
        while len(self._written) > _MOST_WRITTEN:
            self._written.popitem(last=False)
