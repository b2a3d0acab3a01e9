"""HTTP to providers: time-outs that hold, bounded bodies, failures named by their cause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping
from functools import lru_cache
from typing import Self

import httpx

from services.chassis.errors import ProviderUnavailable, ServiceError
from services.providers.patience import Limits, Patience
from services.providers.pool import Origin, Pool, Reply, origin_of
from services.providers.via import STRAIGHT, Via

# The first that fits.
_CAUSES: dict[type[Exception], str] = {
    httpx.ConnectTimeout: "connect_timeout",
    httpx.ConnectError: "connect",
    httpx.ProxyError: "proxy",
    httpx.NetworkError: "hung_up",
    httpx.TimeoutException: "timeout",
    httpx.UnsupportedProtocol: "url",
    httpx.InvalidURL: "url",
    httpx.ProtocolError: "protocol",
    httpx.HTTPError: "transport",
}
_FAILURES = tuple(_CAUSES)
_COMMON = (b"user-agent: omnisphere/0.1", b"accept: */*", b"accept-encoding: identity")


class Answering:
    """An answer whose head has come, to be closed. `chunks` yields the body as it arrives.

    Whoever reads a stream says to `patience` when the answer begins and goes on; a body that is read whole does so by
    arriving.
    """

    def __init__(self, reply: Reply, patience: Patience, *, provider: str, most_bytes: int) -> None:
        self._reply = reply
        self._provider = provider
        self._most_bytes = most_bytes
        self.patience = patience
        self.status = reply.status

    @property
    def tells_limits(self) -> bool:
        """Whether the head says how much may still be sent."""
        return b"ratelimit-" in b" ".join([name for name, _ in self._reply.headers])

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case; of a repeated one the first."""
        pairs = reversed(self._reply.headers)
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body. Raises ProviderUnavailable when it stalls, breaks off, or is larger than allowed."""
        self._refuse_encoding()
        taken = 0
        while chunk := await self._piece(taken):
            taken += len(chunk)
            yield chunk

    async def body(self) -> bytes:
        """The whole body. Raises as chunks()."""
        self._refuse_encoding()
        chunks, taken = [], 0
        while chunk := await self._piece(taken):
            taken += len(chunk)
            chunks.append(chunk)
            if self._reply.is_over:  # as small bodies are from the start
                break
            self.patience.begun(time.monotonic())
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reply.close()

    async def _piece(self, taken: int) -> bytes:
        """The next piece after `taken` bytes; empty: that was all."""
        ends, cause = self.patience.ends()
        left = ends - time.monotonic()
        if left <= 0:
            raise self._failed(cause)  # also where bytes wait: a flood of comments is no answer
        try:
            chunk = await self._reply.piece(left)
        except httpx.ReadTimeout:
            raise self._failed(cause) from None
        except _FAILURES as failure:
            raise _translated(failure, self._provider) from failure
        if taken + len(chunk) > self._most_bytes:
            raise self._failed("too_large")
        return chunk

    def _refuse_encoding(self) -> None:
        for name, value in self._reply.headers:
            if name == b"content-encoding" and value.lower() != b"identity":
                raise self._failed("content_encoding")  # never asked for: may be a bomb

    def _failed(self, cause: str) -> ServiceError:
        return ProviderUnavailable(provider=self._provider, cause=cause, provider_type="transport")


class Transport:
    """A pool for each way to reach servers. Redirects are not followed, cookies not kept, proxies not guessed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pools = {STRAIGHT: Pool()}

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        provider: str,
        *,
        stream: bool,
        via: Via = STRAIGHT,
    ) -> Awaitable[Answering]:
        """Send, and wait for the head of the answer: `with await post(...)`. Leaving the block hangs up."""
        patience = Patience(self._limits, time.monotonic(), stream=stream)
        return self._ask("POST", url, headers, body, provider, patience, via)

    async def get(
        self, url: str, headers: Mapping[str, str], provider: str, *, patience: float
    ) -> tuple[int, bytes, str]:
        """(status, body, server header) of a small document."""
        whole = Patience(self._limits, time.monotonic(), stream=False)
        try:
            async with asyncio.timeout(patience):
                with await self._ask("GET", url, headers, b"", provider, whole) as got:
                    return got.status, await got.body(), got.headers.get("server", "")
        except TimeoutError as failure:
            raise ProviderUnavailable(provider=provider, cause="timeout", provider_type="transport") from failure

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        provider: str,
        patience: Patience,
        via: Via = STRAIGHT,
    ) -> Answering:
        pool = self._pools.get(via) or self._pools.setdefault(via, Pool(via))
        ends, cause = patience.ends()
        try:
            origin, head = _place(method, url)
            said = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
            if said.count("\n") != len(headers) or said.count("\r") != len(headers):
                raise httpx.LocalProtocolError("a header of more than one line")
            request = b"%b%bcontent-length: %d\r\n\r\n%b" % (head, said.encode("latin-1"), len(body), body)
            left = ends - time.monotonic()
            reply = await pool.ask(origin, request, connect=self._limits.connect, patience=left)
        except httpx.ReadTimeout:
            raise ProviderUnavailable(provider=provider, cause=cause, provider_type="transport") from None
        except _FAILURES as failure:
            raise _translated(failure, provider) from failure
        return Answering(reply, patience, provider=provider, most_bytes=self._limits.most_bytes)


@lru_cache(maxsize=1024)
def _place(method: str, url: str) -> tuple[Origin, bytes]:
    """(whom to ask, how the request begins). Endpoints are few: worked out once. Raises httpx's failures."""
    parsed = httpx.URL(url)
    lines = [b"%b %b HTTP/1.1" % (method.encode(), parsed.raw_path), b"host: " + parsed.netloc, *_COMMON]
    if method == "POST":
        lines.append(b"content-type: application/json")
    return origin_of(parsed), b"\r\n".join(lines) + b"\r\n"


def _translated(failure: Exception, provider: str) -> ServiceError:
    cause = next(name for kind, name in _CAUSES.items() if isinstance(failure, kind))
    return ProviderUnavailable(provider=provider, cause=cause, provider_type="transport")
