"""Work after the answer: a bounded queue that nobody waits for. Full: the work is dropped, and counted.

It is gathered for a moment and then done in one go: right after an answer the next request comes in and is not to
wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from services.chassis.errors import ServiceError
from services.chassis.logs import Log

Work = Callable[[], Coroutine[Any, Any, None]]
_WORKERS = 4
_PAUSE_SECONDS = 0.02
_LAST_SECONDS = 2.0


class AfterAnswer:
    """Runs work in the background, in order, a few at a time."""

    def __init__(
        self, *, waiting: int, log: Log, dropped: Callable[[str], None], pause: float = _PAUSE_SECONDS
    ) -> None:
        self._queue: asyncio.Queue[Work] = asyncio.Queue(maxsize=waiting)
        self._pause = pause
        # Set while what waits may be done.
        self._now = asyncio.Event()
        self._log = log
        self._dropped = dropped
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the workers."""
        self._workers = [asyncio.create_task(self._work(), name=f"after-{n}") for n in range(_WORKERS)]

    def add(self, work: Work) -> bool:
        """Do it later, for the call that this task works for; false: there is no room."""
        context = copy_context()

        async def in_context() -> None:
            await asyncio.get_running_loop().create_task(work(), context=context)

        try:
            self._queue.put_nowait(in_context)
        except asyncio.QueueFull:
            self._dropped("queue_full")
            return False
        if self._queue.qsize() == 1:
            asyncio.get_running_loop().call_later(self._pause, self._now.set)
        return True

    async def stop(self) -> None:
        """Finish what waits, for two seconds at most."""
        self._now.set()
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self._queue.join()
        except TimeoutError:
            self._log.warning("after_answer_unfinished", waiting=self._queue.qsize())
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            await self._now.wait()
            try:
                work = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                self._now.clear()
                continue
            try:
                await work()
            except ServiceError as failure:
                self._dropped(failure.reason().lower())
            except Exception as failure:
                self._log.error("after_answer_failed", failure)
            finally:
                self._queue.task_done()
