"""A clock that moves only when the test says so."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count


class FakeClock:
    """The Clock of the chassis, advanced by hand. Sleepers wake in the order of their times."""

    def __init__(self, *, monotonic: float = 1_000.0, wall: float = 1_760_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), woken))
        await woken

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._wall += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass; who sleeps no longer than that wakes when the loop runs next."""
        self._monotonic += seconds
        self._wall += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
