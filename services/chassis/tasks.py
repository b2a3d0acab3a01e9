"""Ends tasks for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel them until they are over: a cancellation that meets the end of a read is lost in some clients."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.1)
