"""Work that costs money and that no caller waits for: checks of cached answers, other models asked the same.

One piece at a time, in a bounded queue, with a budget of its own: what the work cost counts for a day. Full, or out of
money: the piece is not done, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass

from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import ServiceError
from services.chassis.logs import Log
from services.router.payment import Unsaid

_MOST_WAITING = 64
_DAY_SECONDS = 86_400.0


class Purse:
    """What shadow work may cost within 24 hours, in nano-dollars; 0: nothing."""

    def __init__(self, budget: int, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        # (when, nano-dollars), oldest first.
        self._spent: deque[tuple[float, int]] = deque()
        self._sum = 0

    @property
    def left(self) -> int:
        """What may still be spent."""
        now = self._clock.monotonic()
        while self._spent and now - self._spent[0][0] > _DAY_SECONDS:
            self._sum -= self._spent.popleft()[1]
        return self._budget - self._sum

    def attempted(self, attempts: Iterable[attempt_pb2.Attempt]) -> None:
        """See Payer."""
        self._pay(sum(attempt.cost.nanousd for attempt in attempts))

    def unsaid(self, call: Unsaid) -> None:
        """See Payer. The providers are not asked afterwards: what was expected counts."""
        self._pay(call.expected_nanousd)

    def _pay(self, nanousd: int) -> None:
        if nanousd:  # what is free would only be remembered
            self._spent.append((self._clock.monotonic(), nanousd))
            self._sum += nanousd


# Does a piece, pays from the purse, and gives a word for what came of it. Raises ServiceError.
Work = Callable[[Purse], Awaitable[str]]


class Shadow:
    """The queue."""

    def __init__(self, *, clock: Clock, log: Log, budget_nanousd: int) -> None:
        self._log = log
        self._purse = Purse(budget_nanousd, clock)
        self._queue: asyncio.Queue[_Piece] = asyncio.Queue(maxsize=_MOST_WAITING)
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the worker."""
        self._worker = asyncio.create_task(self._run(), name="shadow")

    async def stop(self) -> None:
        """Drop what waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def add(self, work: Work, counted: Callable[[str], None]) -> None:
        """Do it later, for the tenant that this task works for; `counted` hears what came of it."""
        context = copy_context()
        # The caller's deadline is not the work's.
        context.run(call_context.enter, call_context.current().until(None))
        try:
            self._queue.put_nowait(_Piece(work, counted, context))
        except asyncio.QueueFull:
            counted("queue_full")

    async def done(self) -> None:
        """When all that waits is done."""
        await self._queue.join()

    async def _run(self) -> None:
        while True:
            piece = await self._queue.get()
            try:
                piece.counted(
                    await asyncio.get_running_loop().create_task(self._done(piece.work), context=piece.context)
                )
            except ServiceError as failure:
                piece.counted(failure.reason().lower())
            except Exception as failure:
                self._log.error("shadow_work_failed", failure)
            finally:
                self._queue.task_done()

    async def _done(self, work: Work) -> str:
        return await work(self._purse) if self._purse.left > 0 else "budget"


@dataclass(frozen=True, slots=True)
class _Piece:
    work: Work
    counted: Callable[[str], None]
    context: Context
