"""Two ways to call a service of the mesh: over gRPC, or straight into its object in this process.

Both raise ServiceError and nothing else, both pass tenant, request id, trace and deadline on, and both honour the
timeout. A servicer must not change its request: in one process it is the caller's own object.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.clock import Clock, SystemClock
from services.chassis.errors import (
    DeadlineExceeded,
    Internal,
    PeerUnavailable,
    ServiceError,
    Unimplemented,
    from_rpc_error,
)
from services.chassis.logs import Log

Response = TypeVar("Response", bound=Message)
# How much earlier than the caller's deadline a peer must be done, so that its error still reaches the caller.
MARGIN_SECONDS = 0.05


class Invoker(Protocol):
    """Calls one method of a peer. `method` is a stub's or a servicer's; `timeout` in seconds."""

    async def unary(self, method: Any, request: Message, timeout: float) -> Any:
        """The one response."""

    def stream(self, method: Any, request: Message, timeout: float) -> AsyncGenerator[Any, None]:
        """The responses as they come. Close it (`aclosing`) to hang up."""


def _allowed(timeout: float, clock: Clock, peer: str) -> float:
    """`timeout`, or what the caller's deadline leaves of it."""
    left = call_context.current().remaining(clock.monotonic())
    if left is None:
        return timeout
    if left <= MARGIN_SECONDS:
        raise DeadlineExceeded(step=peer).before_sending()
    return min(timeout, left - MARGIN_SECONDS)


class RemoteInvoker:
    """Over gRPC. `known` are detail messages of failing statuses that callers want to see.

    Where the channel is down, a call waits `patience` seconds for it, then gives up; 0: as the method's service config
    says.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        peer: str,
        known: Sequence[type[Message]] = (),
        patience: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        self._channel = channel
        self._peer = peer
        self._known = tuple(known)
        self._patience = patience
        self._clock = clock or SystemClock()

    async def unary(self, method: Any, request: Message, timeout: float) -> Any:
        allowed = await self._connected(_allowed(timeout, self._clock, self._peer))
        try:
            return await method(request, timeout=allowed, metadata=call_context.outgoing(call_context.current()))
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure, peer=self._peer, known=self._known) from failure

    async def stream(self, method: Any, request: Message, timeout: float) -> AsyncGenerator[Any, None]:
        allowed = await self._connected(_allowed(timeout, self._clock, self._peer))
        call = method(request, timeout=allowed, metadata=call_context.outgoing(call_context.current()))
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure, peer=self._peer, known=self._known) from failure
        finally:
            call.cancel()

    async def _connected(self, allowed: float) -> float:
        """Wait until the channel is up; what is left of `allowed`.

        A call that is sent into a dead channel would wait for its whole deadline.
        """
        if not self._patience or self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return allowed
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(min(allowed, self._patience)):
                await self._channel.channel_ready()
        except TimeoutError as failure:
            raise PeerUnavailable(peer=self._peer).before_sending() from failure
        return allowed - (self._clock.monotonic() - started)


class LocalInvoker:
    """Straight into a servicer of this process. A unary call sees its own deadline from where it first waits on."""

    def __init__(self, *, peer: str, log: Log, clock: Clock | None = None) -> None:
        self._peer = peer
        self._log = log
        self._clock = clock or SystemClock()

    async def unary(self, method: Any, request: Message, timeout: float) -> Any:
        allowed = _allowed(timeout, self._clock, self._peer)
        call: Coroutine[Any, Any, Any] = method(request, None)
        try:
            # Most calls in one process never wait: they need no timer and no deadline, which cost more than they do.
            waits_for = call.send(None)
        except StopIteration as done:
            return done.value
        except Exception as failure:
            raise self._translated(failure, None) from failure
        return await self._waited(call, waits_for, allowed)

    async def _waited(self, call: Coroutine[Any, Any, Any], waits_for: Any, allowed: float) -> Any:
        """The rest of a call that waits for something."""
        limit = asyncio.timeout(allowed)
        try:
            async with limit:
                with call_context.entered(self._inner(allowed)):
                    return await _resumed(call, waits_for)
        except Exception as failure:
            raise self._translated(failure, limit) from failure

    async def stream(self, method: Any, request: Message, timeout: float) -> AsyncGenerator[Any, None]:
        allowed = _allowed(timeout, self._clock, self._peer)
        ends = self._clock.monotonic() + allowed
        inner = self._inner(allowed)
        limit = asyncio.timeout(allowed)
        try:
            responses: AsyncIterator[Any] = method(request, None)
            async with aclosing(responses):  # type: ignore[type-var]
                while True:
                    limit = asyncio.timeout(ends - self._clock.monotonic())
                    async with limit:
                        with call_context.entered(inner):
                            response = await anext(responses, None)
                    if response is None:
                        return
                    yield response
        except Exception as failure:
            raise self._translated(failure, limit) from failure

    def _inner(self, allowed: float) -> CallContext:
        """What the peer sees of the call."""
        return call_context.current().until(self._clock.monotonic() + allowed)

    def _translated(self, failure: Exception, limit: asyncio.Timeout | None) -> ServiceError:
        if isinstance(failure, ServiceError):
            return failure
        if isinstance(failure, TimeoutError) and limit is not None and limit.expired():
            return DeadlineExceeded(step=self._peer)
        if isinstance(failure, NotImplementedError):
            return Unimplemented(method=self._peer)
        error = Internal.with_id()
        self._log.error("peer_failed", failure, peer=self._peer, **error.metadata)
        return error


@types.coroutine
def _resumed(call: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine whose first step was taken, in the task that took it, and has led to `waits_for`."""
    while True:
        try:
            came = yield waits_for
        except BaseException as failure:
            step = partial(call.throw, failure)
        else:
            step = partial(call.send, came)
        try:
            waits_for = step()
        except StopIteration as done:
            return done.value
