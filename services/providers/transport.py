"""HTTP to providers: time-outs that hold, bounded bodies, failures named by their cause.

Time-outs per read let a server that drips a byte now and then live for ever: the limits here are for the first byte,
for each pause, and (the caller's) for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import httpx

from services.chassis.errors import ProviderUnavailable, ServiceError
from services.providers.pool import Body, Pool

# The first that fits.
_CAUSES: dict[type[Exception], str] = {
    httpx.ConnectTimeout: "connect_timeout",
    httpx.ConnectError: "connect",
    httpx.NetworkError: "hung_up",
    httpx.TimeoutException: "timeout",
    httpx.UnsupportedProtocol: "url",
    httpx.InvalidURL: "url",
    httpx.ProtocolError: "protocol",
    httpx.HTTPError: "transport",
}
_FAILURES = tuple(_CAUSES)
_COMMON = [(b"user-agent", b"omnisphere/0.1"), (b"accept", b"*/*"), (b"accept-encoding", b"identity")]


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

    def __init__(self, response: httpx.Response, *, provider: str, limits: Limits) -> None:
        self._response = response
        self._provider = provider
        self._limits = limits
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body. Raises ProviderUnavailable when it stalls, breaks off, or is larger than allowed."""
        if self.headers.get("content-encoding", "identity") != "identity":
            raise self._failed("content_encoding")  # never asked for: may be a bomb
        body, taken = cast("Body", self._response.stream), 0
        while True:
            try:
                chunk = await body.piece()
            except httpx.ReadTimeout:
                raise self._failed("idle_timeout" if taken else "first_byte_timeout") from None
            except _FAILURES as failure:
                raise _translated(failure, self._provider) from failure
            if not chunk:
                return
            taken += len(chunk)
            body.patience = self._limits.idle
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
        self._pool: httpx.AsyncBaseTransport = Pool()

    @asynccontextmanager
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, provider: str, *, stream: bool
    ) -> AsyncIterator[Answering]:
        """Send and wait for the head of the answer. Leaving the block hangs up."""
        patience = self._limits.first_byte if stream else self._limits.whole
        said = {"content-type": "application/json", **headers}
        response = await self._send("POST", url, said, body, provider, patience)
        try:
            yield Answering(response, provider=provider, limits=self._limits)
        finally:
            await response.stream.aclose()  # type: ignore[union-attr] # a Body

    async def get(
        self, url: str, headers: Mapping[str, str], provider: str, *, patience: float
    ) -> tuple[int, bytes, str]:
        """(status, body, server header) of a small document."""
        try:
            async with asyncio.timeout(patience):
                response = await self._send("GET", url, headers, b"", provider, patience)
                try:
                    answering = Answering(response, provider=provider, limits=self._limits)
                    return answering.status, await answering.body(), answering.headers.get("server", "")
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr] # a Body
        except TimeoutError as failure:
            raise ProviderUnavailable(provider=provider, cause="timeout", provider_type="transport") from failure

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, provider: str, patience: float
    ) -> httpx.Response:
        try:
            where, host = _address(url)
            said = [(b"host", host), *_COMMON, (b"content-length", b"%d" % len(body))]
            said += [(name.encode(), value.encode()) for name, value in headers.items()]
            # Straight to the transport: httpx's client adds redirects, cookies and proxies, which are off here.
            request = httpx.Request(
                method,
                where,
                headers=said,
                stream=httpx.ByteStream(body),
                extensions={"timeout": {"connect": self._limits.connect, "read": patience}},
            )
            return await self._pool.handle_async_request(request)
        except httpx.ReadTimeout:
            raise ProviderUnavailable(
                provider=provider, cause="first_byte_timeout", provider_type="transport"
            ) from None
        except _FAILURES as failure:
            raise _translated(failure, provider) from failure


@lru_cache(maxsize=1024)
def _address(url: str) -> tuple[httpx.URL, bytes]:
    """(the address, its host header). Endpoints are few: parsed once."""
    parsed = httpx.URL(url)
    return parsed, parsed.netloc


def _translated(failure: Exception, provider: str) -> ServiceError:
    cause = next(name for kind, name in _CAUSES.items() if isinstance(failure, kind))
    return ProviderUnavailable(provider=provider, cause=cause, provider_type="transport")
