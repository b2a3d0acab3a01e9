"""Bytes to server-sent events, for any chunking. No I/O.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

Lines end with CR, LF or CRLF; an event ends with an empty line; a comment starts with a colon. Decoding waits for whole
lines, so a character or a CRLF that is split over two chunks is read right.
"""

from __future__ import annotations

from collections.abc import Iterator

# One event may not be larger: a server that never ends its line must not fill the memory.
MOST_EVENT_BYTES = 8 * 1024 * 1024
# Some servers begin with it.
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event is larger than any model sends."""


class EventStream:
    """Feed bytes, get the `data` of each event that is complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The events that this chunk completes."""
        buffer = self._rest + chunk
        start = 0
        while (found := _line_end(buffer, start)) is not None:
            end, after = found
            event = self._line(buffer[start:end])
            start = after
            if event is not None:
                yield event
        self._rest = buffer[start:]
        if len(self._rest) + self._size > MOST_EVENT_BYTES:
            raise EventTooLarge

    def end(self) -> Iterator[str]:
        """The last event, where the stream ended without its empty line."""
        for line in (self._rest.removesuffix(b"\r"), b""):
            event = self._line(line)
            if event is not None:
                yield event
        self._rest = b""

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode("utf-8", errors="replace") if data else None
        name, _, value = line.partition(b":")
        if name.removeprefix(_BOM) == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
        return None


def _line_end(buffer: bytes, start: int) -> tuple[int, int] | None:
    """(end of the line, start of the next); None: the line is not complete yet."""
    lf = buffer.find(b"\n", start)
    cr = buffer.find(b"\r", start, None if lf < 0 else lf)
    if cr < 0:
        return None if lf < 0 else (lf, lf + 1)
    if cr + 1 == len(buffer):
        return None  # the LF of a CRLF may be in the next chunk
    return (cr, cr + 2) if buffer[cr + 1 : cr + 2] == b"\n" else (cr, cr + 1)
