"""Time as a value that is handed in, so that tests can own it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from. Seconds as floats; `monotonic` never goes back, `wall` may."""

    def monotonic(self) -> float:
        """Seconds since some fixed point, for durations and deadlines."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC, for dates that others see."""

    async def sleep(self, seconds: float) -> None:
        """Wait; returns early only by cancellation."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
