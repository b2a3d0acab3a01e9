"""The one bounded way off the event loop, for CPU work and blocking files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ParamSpec, TypeVar

from services.chassis.errors import Overloaded

P = ParamSpec("P")
R = TypeVar("R")


class Executor:
    """Runs functions in a few threads. What waits is bounded: beyond it, Overloaded."""

    def __init__(self, *, threads: int = 2, waiting: int = 256) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="omnisphere")
        self._limit = threads + waiting
        self._taken = 0

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` returns, or raises."""
        if self._taken >= self._limit:
            raise Overloaded(queue="executor", retry_after=timedelta(seconds=1))
        self._taken += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))
        finally:
            self._taken -= 1

    def close(self) -> None:
        """Finish what runs; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
