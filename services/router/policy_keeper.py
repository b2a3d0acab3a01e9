"""Holds the policies, and reads the operator's file again when it changed. A bad file leaves the old ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from services.chassis.errors import ServiceError
from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.router.catalog import Catalogue
from services.router.file_watch import FileWatch
from services.router.policy import Policy, load_policies, unknown_models

_EVERY_SECONDS = 1.0


class PolicyKeeper:
    """`current` is what holds now. `failed` hears of every file that was refused."""

    def __init__(
        self,
        path: Path | None,
        catalogue: Callable[[], Catalogue],
        log: Log,
        *,
        failed: Callable[[], None] = lambda: None,
        every: float = _EVERY_SECONDS,
    ) -> None:
        """Raises StartError where the file cannot be read."""
        self._path = path
        self._catalogue = catalogue
        self._log = log
        self._failed = failed
        self._file = FileWatch(path, every=every)
        self._shipped = load_policies(None)
        self.current: Mapping[str, Policy] = load_policies(path)

    def start(self) -> None:
        """Refuse the file if it names models that nobody knows; then watch it."""
        if self._path is not None:
            self._check_first()
            self._file.start(self._watched, "policies")

    async def stop(self) -> None:
        """Stop watching."""
        await self._file.stop()

    def look(self) -> None:
        """Read the file again, if it is another one by now."""
        if not self._file.changed(gone=True):
            return
        try:
            found = load_policies(self._path)
            self._refuse_unknown(found)
        except StartError as failure:
            self._failed()
            self._log.warning("policies_refused", cause=str(failure))
            return
        self.current = found
        self._log.info("policies", names=",".join(sorted(found)))

    def _check_first(self) -> None:
        try:
            self._refuse_unknown(self.current)
        except StartError as failure:
            self._failed()
            self._log.warning("policies_refused", cause=str(failure))
            self.current = self._shipped

    def _refuse_unknown(self, policies: Mapping[str, Policy]) -> None:
        """A name that no model has is a slip of the operator's pen. Without a catalogue nobody can say."""
        models = self._catalogue().models
        own = [policy for name, policy in policies.items() if policy != self._shipped.get(name)]
        known = {name for model in models for name in (model.id, *model.aliases)}
        if models and (problems := unknown_models(own, known)):
            raise StartError("\n".join(problems))

    def _watched(self) -> None:
        try:
            self.look()
        except (OSError, ServiceError) as failure:
            self._log.error("policies_unread", failure)
