"""One HTTP/1.1 connection: a request at a time, its answer as a head and the pieces of a body.

Parsing is llhttp's (httptools); what stands here is when an answer is whole, when a connection may be used again, and
that nothing waits for ever or grows without a bound. Failures are httpx's own classes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

import httptools
import httpx

# A head beyond it is no answer of a model.
_MOST_HEAD_BYTES = 64 * 1024
# Pieces that wait to be taken; beyond it the server is made to wait.
_MOST_WAITING_BYTES = 1024 * 1024
_CONTINUE, _OK = 100, 200


class Connection(asyncio.Protocol):
    """Speaks to one server. `on_lost` hears when the connection is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[Connection], None]) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._paused = False
        self.closed = False
        # When it was last put aside, in seconds of the loop's clock.
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        # Names in lower case, in the order in which they came.
        self.headers: list[tuple[bytes, bytes]] = []
        self._head_done = self._complete = self._keep_alive = False
        self._ends_with_connection = True
        self._head_bytes = self._waiting_bytes = 0
        self._pieces: deque[bytes] = deque()

    # What is asked of it

    def send(self, data: bytes) -> None:
        """Send a whole request; its answer comes through head() and piece()."""
        self._begin()
        self._parser = httptools.HttpResponseParser(self)
        assert self._transport is not None  # noqa: S101 - connection_made() comes before anybody has it
        self._transport.write(data)

    async def head(self, patience: float) -> None:
        """Wait for status and headers. Raises httpx.ReadTimeout, ReadError or RemoteProtocolError."""
        ends = self._loop.time() + patience
        while not self._head_done:
            await self._news(ends - self._loop.time())

    async def piece(self, patience: float) -> bytes:
        """What has come of the body since the last time; empty: it is whole. Raises as head()."""
        while not self._pieces:
            if self._complete:
                return b""
            await self._news(patience)
        pieces, self._pieces, self._waiting_bytes = self._pieces, deque(), 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def is_over(self) -> bool:
        """Whether piece() has nothing more to give, and nothing to wait for."""
        return self._complete and not self._pieces

    @property
    def reusable(self) -> bool:
        """Whether the answer is whole and the server keeps the connection."""
        return self._complete and self._keep_alive and not self.closed and self._failure is None

    async def begin_tls(self, context: ssl.SSLContext, host: str) -> None:
        """From here on everything is TLS; for tunnels. Raises OSError where the server is not who it should be."""
        assert self._transport is not None  # noqa: S101 - connection_made() comes before anybody has it
        secured = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        if secured is None:
            raise ConnectionError
        self._transport = secured

    def rest(self) -> None:
        """No request is under way: whatever the server sends now ends the connection."""
        self._parser = None
        self.idle_since = self._loop.time()

    def abort(self) -> None:
        """Hang up at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # a stream's transport is an asyncio.Transport

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None or self._complete:
            self.abort()  # nobody asked
            return
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(httpx.RemoteProtocolError("the answer is no HTTP"))
        if not self._head_done and self._head_bytes > _MOST_HEAD_BYTES:
            self._fail(httpx.RemoteProtocolError("the head is too large"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._parser is not None and not self._complete:
            if self._head_done and self._ends_with_connection and exc is None:
                self._complete = True
            elif self._failure is None:
                self._failure = httpx.ReadError("the server hung up")
        self._wake()
        self._on_lost(self)

    # What the parser tells

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None  # noqa: S101 - it is the one that tells
        status = self._parser.get_status_code()
        if _CONTINUE <= status < _OK:
            self.headers = []  # an interim answer; the real one follows
            return
        self.status = status
        # What came with the head's end may be body: only a large read is worth counting.
        if self._head_bytes > _MOST_HEAD_BYTES and self._named_bytes() > _MOST_HEAD_BYTES:
            self._fail(httpx.RemoteProtocolError("the head is too large"))
            return
        names = [name for name, _ in self.headers]
        self._ends_with_connection = b"content-length" not in names and b"transfer-encoding" not in names
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._waiting_bytes += len(body)
        if self._waiting_bytes > _MOST_WAITING_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head_done and self._parser is not None:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()

    def _named_bytes(self) -> int:
        return sum(len(name) + len(value) for name, value in self.headers)

    # Waiting

    async def _news(self, patience: float) -> None:
        """Wait until something happened. A timer on the future costs a third of what asyncio.timeout() does."""
        self._raise_failure()
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(max(patience, 0), _overdue, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        if not self._pieces:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        self.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _overdue(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(httpx.ReadTimeout("the server is silent"))
