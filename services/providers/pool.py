"""Connections to servers, kept and used again: an httpx transport over llhttp.

httpx's own transport costs 0.9 to 2.3 ms of CPU a request and more with every concurrent one; this one costs a
thirtieth. It keeps to what calls to models need: HTTP/1.1, TLS, bodies in memory; no proxy, no redirect, no cookie, no
repeated request: a POST that a closing connection swallowed may have been billed, so it is for the caller to decide.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx

from services.providers.http1 import Connection
from services.providers.via import STRAIGHT, Via

# Shorter than what servers in front of models keep (60 s and more); those that keep less hang up, which is noticed.
_KEEP_SECONDS = 30.0
_MOST_IDLE = 256
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Whom to ask."""

    scheme: str
    host: str
    port: int


class Reply:
    """An answer whose head has come."""

    __slots__ = ("_connection", "_origin", "_pool", "headers", "status")

    def __init__(self, connection: Connection, pool: Pool, origin: Origin) -> None:
        self._connection = connection
        self._pool = pool
        self._origin = origin
        self.status = connection.status
        self.headers = connection.headers

    async def piece(self, patience: float) -> bytes:
        """What has come since the last time, after at most `patience` seconds; empty: the body is whole."""
        return await self._connection.piece(patience)

    @property
    def is_over(self) -> bool:
        """Whether the body is whole, and all of it was taken."""
        return self._connection.is_over

    def close(self) -> None:
        """Give the connection back where the body is whole; else hang up."""
        self._pool.give_back(self._connection, self._origin)


class _Body(httpx.AsyncByteStream):
    """A reply's body as httpx knows it."""

    def __init__(self, reply: Reply, patience: float) -> None:
        self._reply = reply
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._reply.piece(self._patience):
            yield piece

    async def aclose(self) -> None:
        self._reply.close()


class Pool(httpx.AsyncBaseTransport):
    """One pool for all servers that are reached in the same way; LIFO, so that a few connections stay warm."""

    def __init__(self, via: Via = STRAIGHT) -> None:
        self._via = via
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None
        self._open: set[Connection] = set()

    async def ask(self, origin: Origin, request: bytes, *, connect: float, patience: float) -> Reply:
        """Send a whole request, head and body; the head of its answer. Raises httpx's failures."""
        connection = self._kept(origin) or await self._connected(origin, connect)
        try:
            connection.send(request)
            await connection.head(patience)
        except BaseException:
            connection.abort()
            raise
        return Reply(connection, self, origin)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same for httpx. `extensions["timeout"]` has connect and read, in seconds."""
        timeout = request.extensions["timeout"]
        origin, written = origin_of(request.url), await _written(request)
        reply = await self.ask(origin, written, connect=timeout["connect"], patience=timeout["read"])
        return httpx.Response(
            reply.status, headers=reply.headers, stream=_Body(reply, timeout["read"]), request=request
        )

    def give_back(self, connection: Connection, origin: Origin) -> None:
        """Keep it for the next request, or hang up."""
        idle = self._idle[origin]
        if connection.reusable and len(idle) < _MOST_IDLE:
            connection.rest()
            idle.append(connection)
        elif not connection.closed:
            connection.abort()

    async def aclose(self) -> None:
        """Hang up everywhere."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # so that the loop lets go of them

    def _kept(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - _KEEP_SECONDS
        while idle:
            connection = idle.pop()
            if not connection.closed and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connected(self, origin: Origin, patience: float) -> Connection:
        try:
            async with asyncio.timeout(patience):
                connection = await (self._tunnel(origin, patience) if self._via.proxy else self._straight(origin))
        except TimeoutError as failure:
            raise httpx.ConnectTimeout("no connection in time") from failure
        except OSError as failure:
            raise httpx.ConnectError("no connection") from failure
        self._open.add(connection)
        return connection

    async def _straight(self, origin: Origin) -> Connection:
        loop, secure = asyncio.get_running_loop(), origin.scheme == "https"
        _, connection = await loop.create_connection(
            lambda: Connection(loop, self._lost),
            origin.host,
            origin.port,
            ssl=self._context() if secure else None,
            server_hostname=origin.host if secure else None,
        )
        return connection

    async def _tunnel(self, origin: Origin, patience: float) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(loop, self._lost), *self._via.proxy_address)
        try:
            connection.send(self._via.connect_request(origin.host, origin.port))
            await connection.head(patience)
            if connection.status != 200:
                raise httpx.ProxyError("the proxy opens no tunnel")
            connection.rest()
            if origin.scheme == "https":
                await connection.begin_tls(self._context(), origin.host)
        except BaseException:
            connection.abort()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or self._via.tls()
        return self._tls

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)


def origin_of(url: httpx.URL) -> Origin:
    """Whom to ask. Raises httpx.UnsupportedProtocol."""
    if url.scheme not in _PORTS or not url.host:
        raise httpx.UnsupportedProtocol("only http and https, with a host")
    return Origin(url.scheme, url.host, url.port or _PORTS[url.scheme])


async def _written(request: httpx.Request) -> bytes:
    """The request as it goes out, in one piece."""
    lines = [request.method.encode(), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    async for piece in request.stream:  # type: ignore[union-attr] # an asynchronous transport's request has one
        lines.append(piece)
    return b"".join(lines)
