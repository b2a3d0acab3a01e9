"""The collector of garbage, kept away from the making of many things that stay."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def without_collector() -> AsyncIterator[None]:
    """Inside, it rests: looking for garbage among a million new entries takes longer than making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
