"""Log lines as JSON: what happened, to which request, never what was said.

Only fields that the code names are written. Of an exception the type and the lines of code are written, never its
text: it may hold a key or a prompt. The same goes for lines of libraries.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import TextIO

from services.chassis.call_context import current

Field = str | int | float | bool | None
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """Writes one JSON object per line."""

    def __init__(self, service: str, *, level: str = "info", stream: TextIO | None = None) -> None:
        self._service = service
        self._least = _LEVELS[level]
        self._stream = stream or sys.stdout

    def announce(self, event: str, **fields: Field) -> None:
        """The process starts to serve, or stops; written at every level: others wait for it."""
        self._write("info", event, fields, always=True)

    def info(self, event: str, **fields: Field) -> None:
        """Something happened as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Field) -> None:
        """Something was not as it should be; the work goes on."""
        self._write("warning", event, fields)

    def error(self, event: str, failure: BaseException | None = None, **fields: Field) -> None:
        """Something failed that should not; `failure` adds its type and where it was raised."""
        if failure is not None:
            fields |= {"type": type(failure).__name__, "trace": trace_of(failure)}
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Field], *, always: bool = False) -> None:
        if _LEVELS[level] < self._least and not always:
            return
        call = current()
        line: dict[str, Field] = {
            "time": round(time.time(), 3),
            "level": level,
            "service": self._service,
            "event": event,
        }
        if call.request_id:
            line |= {
                "request_id": call.request_id,
                "tenant": call.caller.tenant,
                "trace_id": call.trace_id,
            }
        self._stream.write(json.dumps(line | fields) + "\n")
        self._stream.flush()


def trace_of(failure: BaseException) -> str:
    """Where an exception was raised, outermost first: 'file:line function' joined by ' > '."""
    frames = traceback.extract_tb(failure.__traceback__)
    return " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:])


class _LibraryLines(logging.Handler):
    """Passes on that a library had something to say, and where, but not what."""

    def __init__(self, log: Log) -> None:
        super().__init__(level=logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        self._log.warning(
            "library",
            logger=record.name,
            library_level=record.levelname.lower(),
            where=f"{record.pathname}:{record.lineno}",
            type=kind.__name__ if kind else None,
        )


def quieten_libraries(log: Log) -> None:
    """From here on, lines of libraries go through `log`, without their text."""
    root = logging.getLogger()
    root.handlers = [_LibraryLines(log)]
    root.setLevel(logging.WARNING)
