"""HTTP to providers: pooled connections, time-outs that hold, bounded bodies. The only file that imports httpx.

httpx's default transport costs ten times what aiohttp's does, and more with every concurrent call, so aiohttp's
carries the bytes. Time-outs per read let a server that drips a byte now and then live for ever: the limits here are for
the first byte, for each pause, and (the caller's) for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.chassis.errors import ProviderUnavailable, ServiceError

# The first that fits. aiohttp's own come first: httpx-aiohttp calls everything about a connection a connect time-out,
# also a refusal, and a server that hung up after it had the request.
_CAUSES: dict[type[Exception], str] = {
    aiohttp.ConnectionTimeoutError: "connect_timeout",
    aiohttp.ServerTimeoutError: "timeout",
    aiohttp.ClientConnectorError: "connect",
    aiohttp.ClientResponseError: "protocol",
    aiohttp.ClientPayloadError: "hung_up",
    aiohttp.ClientConnectionError: "hung_up",
    httpx.ConnectTimeout: "connect_timeout",
    httpx.TimeoutException: "timeout",
    httpx.ReadError: "hung_up",
    httpx.InvalidURL: "url",
    aiohttp.InvalidURL: "url",
    aiohttp.NonHttpUrlClientError: "url",
    httpx.HTTPError: "transport",
    aiohttp.ClientError: "transport",
    ConnectionError: "hung_up",
}
_USER_AGENT = "omnisphere/0.1"
# aiohttp warns of larger bodies in one piece: copying them would hold up the loop.
_PIECE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Seconds and bytes."""

    connect: float
    # For the first byte of a stream; and of a whole answer, which comes when the model is done.
    first_byte: float
    whole: float
    idle: float
    most_bytes: int


class Answering:
    """An answer whose head has come. `chunks` yields the body as it arrives, within the limits."""

    def __init__(self, response: httpx.Response, *, provider: str, limits: Limits, patience: float) -> None:
        self._response = response
        self._provider = provider
        self._limits = limits
        self._patience = patience
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body. Raises ProviderUnavailable when it stalls, breaks off, or is larger than allowed."""
        if self.headers.get("content-encoding", "identity") != "identity":
            raise self._failed("content_encoding")  # never asked for: may be a bomb
        taken, patience = 0, self._patience
        raw = cast("AsyncGenerator[bytes, None]", self._response.aiter_raw())
        async with aclosing(raw):
            while True:
                try:
                    async with asyncio.timeout(patience):
                        chunk = await anext(raw, None)
                except TimeoutError:
                    raise self._failed("idle_timeout" if taken else "first_byte_timeout") from None
                except tuple(_CAUSES) as failure:
                    raise _translated(failure, self._provider) from failure
                if chunk is None:
                    return
                taken += len(chunk)
                patience = self._limits.idle
                if taken > self._limits.most_bytes:
                    raise self._failed("too_large")
                yield chunk

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    def _failed(self, cause: str) -> ServiceError:
        return ProviderUnavailable(provider=self._provider, cause=cause, provider_type="transport")


class Transport:
    """One pool for all endpoints. Redirects are not followed, cookies not kept, proxies not guessed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(client=_session),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": _USER_AGENT, "accept-encoding": "identity"},
        )

    @asynccontextmanager
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, provider: str, *, stream: bool
    ) -> AsyncIterator[Answering]:
        """Send and wait for the head of the answer. Leaving the block hangs up."""
        patience = self._limits.first_byte if stream else self._limits.whole
        said = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        response = await self._send("POST", url, said, body, provider, patience)
        try:
            yield Answering(response, provider=provider, limits=self._limits, patience=patience)
        finally:
            await response.aclose()

    async def get(
        self, url: str, headers: Mapping[str, str], provider: str, *, patience: float
    ) -> tuple[int, bytes, str]:
        """(status, body, server header) of a small document."""
        try:
            async with asyncio.timeout(patience):
                response = await self._send("GET", url, headers, b"", provider, patience)
                try:
                    answering = Answering(response, provider=provider, limits=self._limits, patience=patience)
                    return answering.status, await answering.body(), answering.headers.get("server", "")
                finally:
                    await response.aclose()
        except TimeoutError as failure:
            raise ProviderUnavailable(provider=provider, cause="timeout", provider_type="transport") from failure

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, provider: str, patience: float
    ) -> httpx.Response:
        content = body if len(body) <= _PIECE_BYTES else _pieces(body)
        try:
            request = self._client.build_request(
                method, url, headers=dict(headers), content=content or None, timeout=self._timeout()
            )
            async with asyncio.timeout(self._limits.connect + patience):
                return await self._client.send(request, stream=True)
        except TimeoutError:
            raise ProviderUnavailable(
                provider=provider, cause="first_byte_timeout", provider_type="transport"
            ) from None
        except tuple(_CAUSES) as failure:
            raise _translated(failure, provider) from failure

    def _timeout(self) -> httpx.Timeout:
        return httpx.Timeout(None, connect=self._limits.connect)


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def _pieces(body: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def _translated(failure: Exception, provider: str) -> ServiceError:
    origin = failure.__cause__ if isinstance(failure.__cause__, aiohttp.ClientError) else failure
    cause = next(name for kind, name in _CAUSES.items() if isinstance(origin, kind))
    return ProviderUnavailable(provider=provider, cause=cause, provider_type="transport")
