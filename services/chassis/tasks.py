"""Ends tasks for good, and everything else one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel them until they are over: a cancellation that meets the end of a read is lost in some clients."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.1)


async def stopped(*stops: Callable[[], Awaitable[None]]) -> None:
    """Every stop in its order, also after one that failed: what has to be written down must not depend on another part.

    Raises the last failure.
    """
    async with AsyncExitStack() as rest:
        for stop in reversed(stops):
            rest.push_async_callback(stop)
