"""Log lines as JSON: what happened, to which request, never what was said.

Only fields that the code names are written. Of an exception the type and the lines of code are written, never its
text: it may hold a key or a prompt. The same goes for lines of libraries.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TextIO

import orjson

from services.chassis.call_context import current

Field = str | int | float | bool | None
# Lines are gathered for so long: a write for each would cost more than the line.
_GATHER_SECONDS = 0.02
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """Writes one JSON object per line. Lines of a running loop go out together; warnings and worse at once.

    Where they cannot be written (a full disk, a reader that is gone) they are lost, and the work goes on.
    """

    def __init__(self, service: str, *, level: str = "info", stream: TextIO | None = None) -> None:
        self._service = service
        self._least = _LEVELS[level]
        # For those who would ask often and in vain.
        self.is_debugging = level == "debug"
        self._stream = stream or sys.stdout
        self._gathered: list[bytes] = []
        self._lock = threading.Lock()

    def records(self, event: str, lines: Iterable[bytes]) -> None:
        """Records of a ledger, JSON objects, whatever the level; from any thread. Their own `at` is their time."""
        head = orjson.dumps({"service": self._service, "event": event})[:-1] + b","
        self._out([head + line[1:] for line in lines])

    def flush(self) -> None:
        """Write what was gathered."""
        gathered, self._gathered = self._gathered, []
        self._out(gathered)

    def announce(self, event: str, **fields: Field) -> None:
        """The process starts to serve, or stops; written at every level: others wait for it."""
        self._write("info", event, fields, always=True)

    def debug(self, event: str, **fields: Field) -> None:
        """Something that is of interest to few."""
        self._write("debug", event, fields)

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
        self._gathered.append(_encoded(line | fields))
        if always or _LEVELS[level] >= _LEVELS["warning"] or not self._flushed_soon():
            self.flush()

    def _flushed_soon(self) -> bool:
        """Have the running loop write the gathered lines; false: there is none."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if len(self._gathered) == 1:
            loop.call_later(_GATHER_SECONDS, self.flush)
        return True

    def _out(self, lines: list[bytes]) -> None:
        if lines:
            with self._lock, suppress(OSError):
                self._stream.write(b"\n".join(lines).decode() + "\n")
                self._stream.flush()


def _encoded(fields: Mapping[str, Field]) -> bytes:
    try:
        line = orjson.dumps(fields)
    except TypeError:  # half a surrogate pair, as in the name of a file
        return json.dumps(fields).encode()
    # Line ends of Unicode, which some readers of lines take for one.
    return line if line.isascii() else json.dumps(fields).encode()


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
