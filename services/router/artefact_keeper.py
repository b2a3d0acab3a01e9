"""Holds the predictor's artefact, and takes a new one from the operator's file while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.router.quality.artefact import SHIPPED, Artefact, ArtefactUnusable, load

_EVERY_SECONDS = 5.0


def first_artefact(path: Path | None) -> Artefact:
    """The operator's artefact, or the one that ships. Raises StartError."""
    try:
        return load(path or SHIPPED)
    except ArtefactUnusable as failure:
        raise StartError(str(failure)) from failure


class ArtefactKeeper:
    """Looks at the file every few seconds. What cannot be used, or did worse than the one in use, is refused."""

    def __init__(
        self,
        path: Path | None,
        current: Callable[[], Artefact],
        swap: Callable[[Artefact], None],
        log: Log,
        *,
        failed: Callable[[], None],
    ) -> None:
        self._path = path
        self._current = current
        self._swap = swap
        self._log = log
        self._failed = failed
        self._seen = self._state()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch the file, where there is one."""
        if self._path is not None:
            self._task = asyncio.create_task(self._watch(), name="artefact")

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Take the file, if it is another one by now and may be taken."""
        state = self._state()
        if self._path is None or state is None or state == self._seen:
            return
        self._seen = state
        try:
            artefact = load(self._path)
        except ArtefactUnusable as failure:
            self._refuse(str(failure))
            return
        if worse := artefact.worse_than(self._current()):
            self._refuse(f"{self._path.name}: {worse}")
            return
        self._swap(artefact)
        self._log.info("artefact", rows=artefact.evaluation.rows, explained=round(artefact.evaluation.explained, 4))

    def _refuse(self, cause: str) -> None:
        self._failed()
        self._log.warning("artefact_refused", cause=cause)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            self.look()
