"""Holds the predictor's artefact, and takes a new one from the operator's file while requests go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.router.file_watch import FileWatch
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
        self._file = FileWatch(path, every=_EVERY_SECONDS)

    def start(self) -> None:
        """Watch the file, where there is one."""
        self._file.start(self.look, "artefact")

    async def stop(self) -> None:
        """Stop watching."""
        await self._file.stop()

    def look(self) -> None:
        """Take the file, if it is another one by now and may be taken."""
        if self._path is None or not self._file.changed(gone=False):
            return
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
