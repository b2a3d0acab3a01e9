"""One suite for both ways to call a peer: over gRPC, and straight into its object. They must not differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.client import open_channel
from services.chassis.errors import (
    DeadlineExceeded,
    Internal,
    PeerUnavailable,
    ProviderRateLimited,
    ServiceError,
    StreamInterrupted,
    Unimplemented,
)
from services.chassis.identity import Caller
from services.chassis.peer import MARGIN_SECONDS, Invoker, LocalInvoker, RemoteInvoker
from tests.fakes.log import ReadableLog
from tests.unit.chassis.tiny import NAME, Tiny, serving

REQUEST, STREAM_REQUEST = pb.GenerateRequest(generation=pb.Generation(model="m")), pb.StreamGenerateRequest()
KNOWN = (attempt_pb2.AttemptsFailed,)


@asynccontextmanager
async def local(tiny: Tiny) -> AsyncIterator[tuple[Invoker, Any, ReadableLog]]:
    log = ReadableLog()
    yield LocalInvoker(peer="tiny", log=log), tiny, log


@asynccontextmanager
async def remote(tiny: Tiny) -> AsyncIterator[tuple[Invoker, Any, ReadableLog]]:
    async with serving(tiny) as it:
        yield RemoteInvoker(it.channel, peer="tiny", known=KNOWN), it.stub, it.log


# Each test runs against both.
both = pytest.mark.parametrize("way", [local, remote])
kinds = pytest.mark.parametrize("stream", [False, True])


async def called(invoker: Invoker, target: Any, *, stream: bool, timeout: float = 5.0) -> list[Any]:
    """All responses of one call."""
    if not stream:
        return [await invoker.unary(target.Generate, REQUEST, timeout)]
    responses = invoker.stream(target.StreamGenerate, STREAM_REQUEST, timeout)
    async with aclosing(responses):
        return [response async for response in responses]


async def failing(invoker: Invoker, target: Any, *, stream: bool, timeout: float = 5.0) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await called(invoker, target, stream=stream, timeout=timeout)
    return caught.value


def raising(failure: Exception) -> Tiny:
    async def unary(request: pb.GenerateRequest) -> pb.GenerateResponse:
        raise failure

    async def streaming(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
        yield pb.StreamGenerateResponse()
        raise failure

    return Tiny(unary=unary, streaming=streaming)


def hanging(given_up: asyncio.Event) -> Tiny:
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    async def unary(request: pb.GenerateRequest) -> pb.GenerateResponse:
        await wait()
        return pb.GenerateResponse()

    async def streaming(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
        try:
            yield pb.StreamGenerateResponse(delta=chat_pb2.Delta(index=0))
            await asyncio.Event().wait()
        finally:
            given_up.set()

    return Tiny(unary=unary, streaming=streaming)


def watched(seen: list[CallContext]) -> Tiny:
    async def unary(request: pb.GenerateRequest) -> pb.GenerateResponse:
        await asyncio.sleep(0)
        seen.append(call_context.current())
        return pb.GenerateResponse()

    async def streaming(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
        for _ in range(2):
            seen.append(call_context.current())
            yield pb.StreamGenerateResponse()

    return Tiny(unary=unary, streaming=streaming)


@both
async def test_one_response_and_many_come_back(way):
    async with way(Tiny()) as (invoker, target, _):
        (response,) = await called(invoker, target, stream=False)
        assert response.message.name == "m"
        responses = await called(invoker, target, stream=True)
        assert [response.delta.index for response in responses] == [0, 1, 2]


@both
@kinds
async def test_a_service_error_arrives_whole(way, stream):
    attempts = attempt_pb2.AttemptsFailed(attempts=[attempt_pb2.Attempt(number=1, model="m")])
    sent = ProviderRateLimited(provider="x", status="429", retry_after=timedelta(seconds=7), details=[attempts])
    async with way(raising(sent)) as (invoker, target, _):
        error = await failing(invoker, target, stream=stream)
    assert isinstance(error, ProviderRateLimited)
    assert (error.metadata, error.retry_after, list(error.details)) == (sent.metadata, sent.retry_after, [attempts])


@both
@kinds
@pytest.mark.parametrize(
    "failure", [RuntimeError("the key sk-secret"), TimeoutError("sk-secret"), KeyError("sk-secret")]
)
async def test_any_other_failure_is_internal_with_an_id_and_without_its_text(way, stream, failure):
    async with way(raising(failure)) as (invoker, target, log):
        error = await failing(invoker, target, stream=stream)
        assert isinstance(error, Internal)
        assert error.metadata["error_id"] in log.text
        assert "sk-secret" not in log.text + str(error) + error.message()


@both
@kinds
async def test_a_method_that_is_not_written_is_unimplemented(way, stream):
    async with way(raising(NotImplementedError())) as (invoker, target, _):
        assert isinstance(await failing(invoker, target, stream=stream), Unimplemented)


@both
@kinds
async def test_a_peer_that_takes_too_long_is_given_up(way, stream):
    given_up = asyncio.Event()
    async with way(hanging(given_up)) as (invoker, target, _):
        error = await failing(invoker, target, stream=stream, timeout=0.05)
        assert isinstance(error, DeadlineExceeded)
        assert error.metadata == {"step": "tiny"}
        await asyncio.wait_for(given_up.wait(), 2)


@both
async def test_closing_a_stream_early_hangs_up(way):
    given_up = asyncio.Event()
    async with way(hanging(given_up)) as (invoker, target, _):
        async with aclosing(invoker.stream(target.StreamGenerate, STREAM_REQUEST, 5.0)) as responses:
            assert (await anext(responses)).delta.index == 0
        await asyncio.wait_for(given_up.wait(), 2)


@both
@kinds
async def test_a_caller_that_is_cancelled_hangs_up(way, stream):
    given_up = asyncio.Event()
    async with way(hanging(given_up)) as (invoker, target, _):
        task = asyncio.create_task(called(invoker, target, stream=stream))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(given_up.wait(), 2)


@both
@kinds
async def test_who_calls_travels_and_the_deadline_shrinks(way, stream):
    seen: list[CallContext] = []
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    now = time.monotonic()
    async with way(watched(seen)) as (invoker, target, _):

        async def call() -> CallContext:
            call_context.enter(CallContext(Caller("acme"), "r-1", trace, "01", now + 3.0))
            await called(invoker, target, stream=stream)
            return call_context.current()

        after = await asyncio.create_task(call())
    for inner in seen:
        assert (inner.caller.tenant, inner.request_id, inner.trace_id, inner.trace_flags) == (
            "acme",
            "r-1",
            trace,
            "01",
        )
        assert inner.deadline == pytest.approx(now + 3.0 - MARGIN_SECONDS, abs=0.04)
    assert after.deadline == now + 3.0


@both
@kinds
async def test_a_timeout_below_the_callers_deadline_is_the_peers_deadline(way, stream):
    seen: list[CallContext] = []
    now = time.monotonic()
    async with way(watched(seen)) as (invoker, target, _):

        async def call() -> CallContext:
            call_context.enter(CallContext(Caller("acme"), "r-1", "1" * 32, "00", now + 100.0))
            await called(invoker, target, stream=stream, timeout=2.0)
            return call_context.current()

        after = await asyncio.create_task(call())
    for inner in seen:
        assert inner.deadline == pytest.approx(now + 2.0, abs=0.1)
    assert after.deadline == now + 100.0


@both
@kinds
async def test_without_time_nobody_is_called(way, stream):
    seen: list[CallContext] = []
    async with way(watched(seen)) as (invoker, target, _):

        async def call() -> ServiceError:
            call_context.enter(
                CallContext(Caller("acme"), "r-1", "1" * 32, "00", time.monotonic() + MARGIN_SECONDS / 2)
            )
            return await failing(invoker, target, stream=stream)

        error = await asyncio.create_task(call())
    assert isinstance(error, DeadlineExceeded)
    assert seen == []


@both
async def test_words_that_came_before_a_failure_are_handed_on(way):
    async with way(raising(StreamInterrupted(cause="reset"))) as (invoker, target, _):
        responses = invoker.stream(target.StreamGenerate, STREAM_REQUEST, 5.0)
        await anext(responses)
        with pytest.raises(StreamInterrupted):
            await anext(responses)


@kinds
async def test_a_peer_that_is_away_is_unavailable_after_the_patience(stream, free_port):
    channel = open_channel(f"127.0.0.1:{free_port}", health_name=NAME)
    invoker = RemoteInvoker(channel, peer="tiny", patience=0.05)
    method = channel.unary_stream if stream else channel.unary_unary
    call: Any = method(
        f"/{NAME}/{'Stream' if stream else ''}Generate", request_serializer=lambda m: m.SerializeToString()
    )
    started = time.monotonic()
    try:
        asked = anext(invoker.stream(call, STREAM_REQUEST, 60.0)) if stream else invoker.unary(call, REQUEST, 60.0)
        with pytest.raises(PeerUnavailable) as caught:
            await asked
    finally:
        await channel.close()
    assert caught.value.metadata == {"peer": "tiny"}
    assert time.monotonic() - started < 1


async def test_a_peer_that_is_away_is_unavailable_at_once_where_the_method_does_not_wait(free_port):
    channel = open_channel(f"127.0.0.1:{free_port}", health_name="omnisphere.cache.v1.CacheService")
    call: Any = channel.unary_unary(
        "/omnisphere.cache.v1.CacheService/Store", request_serializer=lambda m: m.SerializeToString()
    )
    try:
        with pytest.raises(PeerUnavailable):
            await RemoteInvoker(channel, peer="cache").unary(call, REQUEST, 5.0)
    finally:
        await channel.close()


async def test_a_message_beyond_the_transport_is_too_large_and_not_unavailable():
    async with remote(Tiny()) as (invoker, target, _):
        request = pb.GenerateRequest(generation=pb.Generation(model="x" * (33 << 20)))
        with pytest.raises(ServiceError) as caught:
            await invoker.unary(target.Generate, request, 5.0)
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
