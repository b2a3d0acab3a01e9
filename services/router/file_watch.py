"""Notices that an operator's file is another one by now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path


class FileWatch:
    """Looks at the file every so many seconds; None: there is none to look at."""

    def __init__(self, path: Path | None, *, every: float) -> None:
        self._path = path
        self._every = every
        self._seen = self._state()
        self._task: asyncio.Task[None] | None = None

    def start(self, look: Callable[[], None], name: str) -> None:
        """Have `look` called again and again, where there is a file."""
        if self._path is not None:
            self._task = asyncio.create_task(self._watch(look), name=name)

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def changed(self, *, gone: bool) -> bool:
        """Whether it is another one than before, also where a mounted directory was swapped; `gone`: or none at all."""
        state = self._state()
        if state == self._seen or (state is None and not gone):
            return False
        self._seen = state
        return True

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)

    async def _watch(self, look: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._every)
            look()
