"""Bytes to the lines of a stream that has a JSON document in each, for any chunking. No I/O.

https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

from collections.abc import Iterator

from services.providers.sse import MOST_EVENT_BYTES, EventTooLarge


class LineStream:
    """Feed bytes, get each line that is complete and not empty."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if said := line.strip():
                yield said.decode("utf-8-sig", errors="replace")
        if len(self._rest) > MOST_EVENT_BYTES:
            raise EventTooLarge

    def end(self) -> Iterator[str]:
        """The last line, where the stream ended without its end."""
        said, self._rest = self._rest.strip(), b""
        if said:
            yield said.decode("utf-8-sig", errors="replace")
