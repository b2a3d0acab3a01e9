"""Holds the policies, and reads the operator's file again when it changed. A bad file leaves the old ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from services.chassis.errors import ServiceError
from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.router.catalog import Catalogue, answers_by_name
from services.router.file_watch import FileWatch
from services.router.policy import Policy, load_policies, wrong_models

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
        # The last ones whose models were known; without a catalogue nobody can say, and it is asked again.
        self._checked: Mapping[str, Policy] = self._shipped

    def start(self) -> None:
        """Refuse the file if it names models that nobody knows; then watch it."""
        if self._path is not None:
            self._check()
            self._file.start(self._watched, "policies")

    async def stop(self) -> None:
        """Stop watching."""
        await self._file.stop()

    def look(self) -> None:
        """Read the file again, if it is another one by now; check it, where that could not be done yet."""
        if not self._file.changed(gone=True):
            if self.current is not self._checked:
                self._check()
            return
        try:
            found = load_policies(self._path)
        except StartError as failure:
            self._refused(failure)
            return
        self._check(found)

    def _check(self, found: Mapping[str, Policy] | None = None) -> None:
        """Take `found`, or go on with the current ones; a name that no model has is a slip of the operator's pen."""
        policies = self.current if found is None else found
        models = self._catalogue().models
        own = [policy for name, policy in policies.items() if policy != self._shipped.get(name)]
        if models and (problems := wrong_models(own, answers_by_name(models))):
            if found is None:
                self.current = self._checked
            self._refused(StartError("\n".join(problems)))
            return
        self.current = policies
        if models:
            self._checked = policies
        if found is not None:
            self._log.info("policies", names=",".join(sorted(found)))

    def _refused(self, failure: StartError) -> None:
        self._failed()
        self._log.warning("policies_refused", cause=str(failure))

    def _watched(self) -> None:
        try:
            self.look()
        except (OSError, ServiceError) as failure:
            self._log.error("policies_unread", failure)
