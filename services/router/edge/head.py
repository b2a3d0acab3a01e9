"""Bounds what uvicorn leaves unbounded: how large the head of a request may be, and how long a first one may take."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10
_HEAD_SECONDS = 30.0
_LAST_CHANCE_SECONDS = 0.25
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedHead(HttpToolsProtocol):
    """One connection. A head that came in one read is as small as a read is."""

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - they are uvicorn's
        super().__init__(*args, **more)
        self._in_head = True
        self._was_used = False
        self._head_bytes = 0
        self._first_head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, but not forever."""
        super().connection_made(transport)
        self._first_head = self.loop.call_later(_HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count while it is a head."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._was_used = True
        self._head_bytes = 0
        self._arrived()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is a head again."""
        self._in_head = True
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops: who has just connected, and not asked yet, still may for a moment."""
        if self._was_used:
            super().shutdown()
        else:
            self.loop.call_later(_LAST_CHANCE_SECONDS, self._close_unused)

    def _close_unused(self) -> None:
        if not self._was_used and not self.transport.is_closing():
            self.transport.close()

    def _arrived(self) -> None:
        if self._first_head is not None:
            self._first_head.cancel()
            self._first_head = None
