"""A log that tests can read."""

from __future__ import annotations

import io
import json
from typing import Any

from services.chassis.logs import Log


class ReadableLog(Log):
    """The real log, written into memory."""

    def __init__(self, service: str = "test", *, level: str = "debug") -> None:
        self._written = io.StringIO()
        super().__init__(service, level=level, stream=self._written)

    @property
    def text(self) -> str:
        """Everything that was written."""
        self.flush()
        return self._written.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines, read back."""
        return [json.loads(line) for line in self.text.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.lines if line["event"] == name]
