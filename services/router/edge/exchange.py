"""One HTTP request and its answer over ASGI: the body in, a reply or a stream out, a caller who hangs up noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from services.chassis.errors import MessageTooLarge, ServiceError
from services.router.edge import headers, sse
from services.router.edge.dialect import Dialect, Events
from services.router.edge.errors import Refused, problem_of
from services.router.edge.headers import Headers
from services.router.edge.metrics import HUNG_UP

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_BODY_BYTES = 20 << 20
_BODY_SECONDS = 60.0
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")


class Exchange:
    """A request being answered. `status` is what it was answered with; 0: not yet."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, dialect: Dialect) -> None:
        self.scope = scope
        self.dialect = dialect
        self.request_id = ""
        # A field of our contract in the caller's own terms.
        self.placed: Callable[[str], str] = str
        self.status = 0
        # True: the caller should open another connection for its next request, to another server.
        self.closing = False
        self.hung_up = False
        # The writer of the stream, once its head is out.
        self.events: Events | None = None
        self._receive = receive
        self._send = send
        self._finished = False
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def body(self, loop: asyncio.AbstractEventLoop) -> bytes:
        """The whole body. Raises MessageTooLarge, Refused; CancelledError where the caller hung up.

        The loop is handed in, here and below, as to ask for it costs a system call each time.
        """
        for name, value in self.scope["headers"]:
            if name == b"content-length" and int(value) > MOST_BODY_BYTES:
                raise MessageTooLarge(limit_bytes=str(MOST_BODY_BYTES))
            if name == b"content-encoding" and value.lower() != b"identity":
                raise Refused(415, "content-encoding: only identity is read", code="unsupported_encoding")
        task = _running_in(loop)
        late = False

        def expire() -> None:
            nonlocal late
            late = True
            task.cancel()

        timer = loop.call_later(_BODY_SECONDS, expire)
        try:
            return await self._joined()
        except asyncio.CancelledError:
            if late:
                raise Refused(408, "the body did not come in time", code="body_timeout") from None
            raise
        finally:
            timer.cancel()

    def watch(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """From here on a caller who hangs up, or does not read, ends the work: this task is cancelled.

        After the body only.
        """
        task = _running_in(loop)

        def gone(_: object = None) -> None:
            if not self._finished:
                self.hung_up = True
                task.cancel()

        self._watcher = loop.create_task(self._received())
        self._watcher.add_done_callback(gone)
        self._timer = loop.call_later(seconds, gone)

    async def reply(self, status: int, more: Headers, body: bytes) -> None:
        """A whole answer."""
        length = (b"content-length", b"%d" % len(body))
        await self._start(status, [_JSON, length, *more])
        self._finished = True
        await self._send({"type": "http.response.body", "body": body})

    async def open(self, more: Headers, events: Events) -> None:
        """The head of a stream."""
        await self._start(200, [*sse.HEADERS, *more])
        self.events = events

    async def more(self, chunk: bytes) -> None:
        """A piece of the stream. What is sent without a pause between leaves in one write: uvloop gathers it."""
        if chunk:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def last(self, chunk: bytes) -> None:
        """The end of the stream."""
        self._finished = True
        await self._send({"type": "http.response.body", "body": chunk})

    async def fail(self, error: ServiceError | Refused) -> None:
        """The failure in the caller's dialect: a reply, or an event where a stream has begun."""
        if self._finished or (self.status and self.events is None):
            return  # too late for words: an answer without its end closes the connection
        problem = problem_of(error, self.placed)
        if self.events is not None:
            await self.last(self.events.failure(problem))
            return
        allow = [(b"allow", self.scope["allow"])] if problem.status == 405 else []
        body = orjson.dumps(self.dialect.error(problem))
        await self.reply(problem.status, [*problem.headers(), *allow], body)

    def end(self) -> None:
        """Nothing more comes; what watches over it ends."""
        if not self._finished:
            self.status = HUNG_UP
        self._finished = True
        if self._watcher is not None:
            self._watcher.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def _received(self) -> None:
        await self._receive()

    async def _joined(self) -> bytes:
        message = await self._part()
        if not message.get("more_body"):
            return bytes(message["body"])
        pieces, size = [message["body"]], len(message["body"])
        while message.get("more_body"):
            message = await self._part()
            pieces.append(message["body"])
            size += len(message["body"])
            if size > MOST_BODY_BYTES:
                raise MessageTooLarge(limit_bytes=str(MOST_BODY_BYTES))
        return b"".join(pieces)

    async def _part(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.hung_up = True
            raise asyncio.CancelledError
        return message

    async def _start(self, status: int, more: Headers) -> None:
        self.status = status
        more += headers.of_request(self.request_id, self.dialect.request_id_header) if self.request_id else []
        if self.closing:
            more.append(_CLOSE)
        await self._send({"type": "http.response.start", "status": status, "headers": more})


def _running_in(loop: asyncio.AbstractEventLoop) -> asyncio.Task[Any]:
    task = asyncio.current_task(loop)
    assert task is not None  # noqa: S101 - ASGI runs in one
    return task
