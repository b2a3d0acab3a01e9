"""Around every call of a server: who calls, how many at once, how large, how long; and errors become statuses.

The only place that aborts a call. What is not a ServiceError becomes INTERNAL with an id; its trace goes to the log,
its text nowhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from services.chassis import call_context, identity
from services.chassis.call_context import CallContext
from services.chassis.client import CONVERSATION_BYTES, MESSAGE_BYTES
from services.chassis.errors import (
    Cancelled,
    Internal,
    InvalidRequest,
    MessageTooLarge,
    NoCandidateLeft,
    Overloaded,
    ProviderUnavailable,
    ServiceError,
    StreamInterrupted,
    Unimplemented,
    to_status,
)
from services.chassis.logs import Log
from services.chassis.metrics import OTHER_METHOD, CallMetrics

_INFRASTRUCTURE = ("/grpc.health.", "/grpc.reflection.")
_KEYS = (identity.TENANT_KEY, call_context.REQUEST_ID_KEY, call_context.TRACE_KEY)
# After these, money may be spent: no channel may repeat the call, whatever its service config says (gRFC A6).
_SPENT = (NoCandidateLeft, ProviderUnavailable, StreamInterrupted)
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")
_DETAILS_KEY = "grpc-status-details-bin"


class Unread:
    """A request as it came in, for a method that may know what to do with it without reading it."""

    __slots__ = ("_deserialize", "data")

    def __init__(self, data: bytes, deserialize: Callable[[bytes], Message]) -> None:
        self.data = data
        self._deserialize = deserialize

    def read(self) -> Any:
        """The message. Raises InvalidRequest for bytes that it cannot be read from."""
        try:
            return self._deserialize(self.data)
        except DecodeError:
            raise InvalidRequest(field="request", problem="is no message of this method") from None


def _unread(deserialize: Callable[[bytes], Message]) -> Callable[[bytes], Unread]:
    """Where bytes are no message, gRPC itself would answer without a reason: so reading is up to us."""
    return lambda data: Unread(data, deserialize)


def _written(serialize: Callable[[Message], bytes]) -> Callable[[Message | bytes], bytes]:
    """A response that was written before goes out as it is."""
    return lambda response: response if isinstance(response, bytes) else serialize(response)


@dataclass(frozen=True, slots=True)
class _Around:
    """What the interceptor knows of one method. `read`: its handler wants the message, not the bytes."""

    method: str
    limit: int
    read: bool
    count: Callable[[], None]
    took: Callable[[float], None]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method but health and reflection, which must answer also under overload."""

    def __init__(
        self,
        *,
        log: Log,
        metrics: CallMetrics,
        believe_tenant: bool,
        most_calls: int,
        conversation_methods: frozenset[str],
        unread_methods: frozenset[str] = frozenset(),
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._believe_tenant = believe_tenant
        self._most_calls = most_calls
        self._conversation_methods = conversation_methods
        self._unread_methods = unread_methods
        self._in_flight = 0
        metrics.watch(lambda: self._in_flight)
        # Wrapped once per registered method: gRPC asks for every call.
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None:  # gRPC answers that itself
            self._metrics.started(OTHER_METHOD).inc()
            self._metrics.duration(OTHER_METHOD, grpc.StatusCode.UNIMPLEMENTED.name).observe(0)
            return None
        if method.startswith(_INFRASTRUCTURE):
            return handler
        self._wrapped[method] = self._around(handler, method)
        return self._wrapped[method]

    def _around(self, handler: Any, method: str) -> Any:
        name = method.rsplit("/", 1)[-1]
        limit = CONVERSATION_BYTES if name in self._conversation_methods else MESSAGE_BYTES
        around = _Around(
            method,
            limit,
            read=name not in self._unread_methods,
            count=self._metrics.started(method).inc,
            took=self._metrics.duration(method, "OK").observe,
        )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream, around),
                request_deserializer=_unread(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, around),
            request_deserializer=_unread(handler.request_deserializer),
            response_serializer=_written(handler.response_serializer),
        )

    def _unary(self, inner: Any, around: _Around) -> Any:
        method = around.method

        async def call(request: Unread, context: Any) -> Any:
            started = self._arrived(around)
            code = grpc.StatusCode.OK
            try:
                self._admit(request, context, around.limit)
                return await inner(request.read() if around.read else request, context)
            except BaseException as failure:
                error = self._as_service_error(failure, method)
                code = error.code
                if isinstance(failure, asyncio.CancelledError):
                    raise
                await self._abort(context, error)
            finally:
                self._left(around, code, started)

        return call

    def _streaming(self, inner: Any, around: _Around) -> Any:
        method = around.method

        async def call(request: Unread, context: Any) -> AsyncIterator[Any]:
            started = self._arrived(around)
            code = grpc.StatusCode.OK
            try:
                self._admit(request, context, around.limit)
                message = request.read() if around.read else request
                async with aclosing(inner(message, context)) as responses:
                    async for response in responses:
                        yield response
            except BaseException as failure:
                error = self._as_service_error(failure, method)
                code = error.code
                if isinstance(failure, asyncio.CancelledError | GeneratorExit):
                    raise
                await self._abort(context, error)
            finally:
                self._left(around, code, started)

        return call

    def _arrived(self, around: _Around) -> float:
        self._in_flight += 1
        around.count()
        return time.monotonic()

    def _left(self, around: _Around, code: grpc.StatusCode, started: float) -> None:
        self._in_flight -= 1
        seconds = time.monotonic() - started
        if code is grpc.StatusCode.OK:
            around.took(seconds)
            if self._log.is_debugging:
                self._log.debug("call", method=around.method, code="OK", seconds=seconds)
        else:
            self._metrics.duration(around.method, code.name).observe(seconds)
            self._log.info("call", method=around.method, code=code.name, seconds=round(seconds, 6))

    def _admit(self, request: Unread, context: Any, limit: int) -> None:
        if self._in_flight > self._most_calls:
            raise Overloaded(queue="calls", retry_after=timedelta(seconds=1))
        if len(request.data) > limit:
            raise MessageTooLarge(limit_bytes=str(limit))
        said = call_context.lookup(context.invocation_metadata(), _KEYS)
        request_id = said.get(call_context.REQUEST_ID_KEY, "")
        if len(request_id) > call_context.REQUEST_ID_BYTES:
            raise InvalidRequest(
                field=call_context.REQUEST_ID_KEY, problem=f"is longer than {call_context.REQUEST_ID_BYTES} bytes"
            )
        trace_id, flags = call_context.parse_trace(said.get(call_context.TRACE_KEY, ""))
        left = context.time_remaining()
        deadline = None if left is None else time.monotonic() + left
        caller = identity.identify(said.get(identity.TENANT_KEY, ""), believed=self._believe_tenant)
        call_context.enter(CallContext(caller, request_id, trace_id, flags, deadline))

    def _as_service_error(self, failure: BaseException, method: str) -> ServiceError:
        if isinstance(failure, ServiceError):
            return failure
        if isinstance(failure, asyncio.CancelledError | GeneratorExit):
            return Cancelled()
        if isinstance(failure, NotImplementedError):
            return Unimplemented(method=method.rsplit("/", 1)[-1])
        error = Internal.with_id()
        self._log.error("call_failed", failure, method=method, **error.metadata)
        return error

    async def _abort(self, context: Any, error: ServiceError) -> None:
        status = to_status(error)
        trailing: list[tuple[str, str | bytes]] = [(_DETAILS_KEY, status.SerializeToString())]
        if isinstance(error, _SPENT):
            trailing.append(_NO_RETRY)
        # Handed over here: an abort replaces what set_trailing_metadata() said before.
        await context.abort(error.code, status.message, tuple(trailing))
