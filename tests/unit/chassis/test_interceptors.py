"""What a caller sees of a server's own rules, over the wire."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import redirect_stderr
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis import call_context
from services.chassis.client import CONVERSATION_BYTES, MESSAGE_BYTES
from services.chassis.errors import (
    Internal,
    InvalidRequest,
    MessageTooLarge,
    NotFound,
    Overloaded,
    ProviderRateLimited,
    ProviderUnavailable,
    ServiceError,
    Unauthenticated,
    UnknownModel,
    from_rpc_error,
)
from services.chassis.identity import TENANT_KEY
from tests.unit.chassis.tiny import Serving, Tiny, serving

REQUEST, STREAM_REQUEST = pb.GenerateRequest(), pb.StreamGenerateRequest()


def raising(failure: BaseException) -> Tiny:
    """A service whose methods raise; the stream after its first response."""

    async def unary(request: pb.GenerateRequest) -> pb.GenerateResponse:
        raise failure

    async def streaming(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
        yield pb.StreamGenerateResponse()
        raise failure

    return Tiny(unary=unary, streaming=streaming)


async def drained(stream) -> list[pb.StreamGenerateResponse]:
    return [response async for response in stream]


async def refused(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def both(it: Serving) -> list[grpc.aio.AioRpcError]:
    """The failures of the unary call and of the stream."""
    return [await refused(it.stub.Generate(REQUEST)), await refused(drained(it.stub.StreamGenerate(STREAM_REQUEST)))]


async def test_an_unexpected_failure_is_internal_with_an_id_and_without_its_text():
    noise = io.StringIO()
    with redirect_stderr(noise):
        async with serving(raising(RuntimeError("401 from https://api.x/?key=sk-secret"))) as it:
            failures = await both(it)
    for failure in failures:
        error = from_rpc_error(failure, peer="tiny")
        assert failure.code() is grpc.StatusCode.INTERNAL
        assert isinstance(error, Internal)
        assert "sk-secret" not in str(failure)
        assert error.metadata["error_id"] in it.log.text
    assert "sk-secret" not in it.log.text + noise.getvalue()
    assert [line["type"] for line in it.log.events("call_failed")] == ["RuntimeError"] * 2


async def test_a_service_error_arrives_as_it_was_raised():
    sent = ProviderRateLimited(provider="openai", status="429", retry_after=timedelta(seconds=7))
    async with serving(raising(sent)) as it:
        for failure in await both(it):
            error = from_rpc_error(failure, peer="tiny")
            assert isinstance(error, ProviderRateLimited)
            assert (error.metadata, error.retry_after) == (sent.metadata, sent.retry_after)
            assert failure.details() == sent.message()


async def test_a_method_that_is_not_written_is_unimplemented():
    async with serving() as it:
        failure = await refused(it.stub.ListModels(pb.ListModelsRequest()))
    assert failure.code() is grpc.StatusCode.UNIMPLEMENTED
    assert from_rpc_error(failure, peer="tiny").metadata == {"method": "ListModels"}


async def test_unavailable_tells_channels_not_to_try_again():
    async with serving(raising(ProviderUnavailable(provider="x"))) as it:
        for failure in await both(it):
            assert dict(failure.trailing_metadata())["grpc-retry-pushback-ms"] == "-1"
            assert isinstance(from_rpc_error(failure, peer="tiny"), ProviderUnavailable)


async def test_other_failures_say_nothing_about_trying_again():
    async with serving(raising(NotFound(name="x"))) as it:
        for failure in await both(it):
            assert "grpc-retry-pushback-ms" not in dict(failure.trailing_metadata())


async def test_an_error_with_a_long_list_still_arrives_whole():
    known = ",".join(f"vendor/some-model-with-a-long-name-{n}" for n in range(2_000))
    async with serving(raising(UnknownModel(name="gpt-99", known=known))) as it:
        for failure in await both(it):
            error = from_rpc_error(failure, peer="tiny")
            assert isinstance(error, UnknownModel)
            assert error.metadata["name"] == "gpt-99"
            assert error.metadata["known"].startswith("vendor/some-model-with-a-long-name-0,")


@pytest.mark.parametrize(
    ("method", "limit"), [("Generate", CONVERSATION_BYTES), ("StreamGenerate", CONVERSATION_BYTES)]
)
async def test_a_message_above_the_limit_is_refused_with_the_limit(method, limit):
    kind = getattr(pb, f"{method}Request")
    async with serving() as it:
        call = getattr(it.stub, method)(kind(generation={"model": "x" * limit}))
        failure = await refused(call if method == "Generate" else drained(call))
        error = from_rpc_error(failure, peer="tiny")
    assert isinstance(error, MessageTooLarge)
    assert error.metadata == {"limit_bytes": str(limit)}


async def test_a_method_without_a_conversation_has_the_lower_limit():
    async with serving() as it:
        failure = await refused(it.stub.ListModels(pb.ListModelsRequest(known_version="x" * MESSAGE_BYTES)))
    assert from_rpc_error(failure, peer="tiny").metadata == {"limit_bytes": str(MESSAGE_BYTES)}


async def test_too_many_calls_are_refused_at_once_while_health_still_answers():
    gate = asyncio.Event()

    async def wait(request: pb.GenerateRequest) -> pb.GenerateResponse:
        await gate.wait()
        return pb.GenerateResponse()

    async with serving(Tiny(unary=wait), most_calls=2) as it:
        waiting = [asyncio.ensure_future(it.stub.Generate(REQUEST)) for _ in range(2)]
        while it.registry.get_sample_value("omnisphere_grpc_server_calls_in_flight") != 2:  # noqa: ASYNC110 - the server does it
            await asyncio.sleep(0.001)
        for failure in (
            await refused(it.stub.Generate(REQUEST)),
            await refused(drained(it.stub.StreamGenerate(STREAM_REQUEST))),
        ):
            error = from_rpc_error(failure, peer="tiny")
            assert isinstance(error, Overloaded)
            assert (error.metadata, error.retry_after) == ({"queue": "calls"}, timedelta(seconds=1))
        health = health_pb2_grpc.HealthStub(it.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        gate.set()
        await asyncio.gather(*waiting)
        await it.stub.Generate(REQUEST)
    assert it.registry.get_sample_value("omnisphere_grpc_server_calls_in_flight") == 0


class Watched:
    """A service that keeps what its methods' calls carried."""

    def __init__(self) -> None:
        self.calls: list[call_context.CallContext] = []

    def tiny(self) -> Tiny:
        async def unary(request: pb.GenerateRequest) -> pb.GenerateResponse:
            self.calls.append(call_context.current())
            return pb.GenerateResponse()

        async def streaming(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
            self.calls.append(call_context.current())
            yield pb.StreamGenerateResponse()

        return Tiny(unary=unary, streaming=streaming)


async def test_tenant_request_id_trace_and_deadline_reach_the_method():
    watched = Watched()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = [
        (TENANT_KEY, "acme"),
        (call_context.REQUEST_ID_KEY, "r-1"),
        (call_context.TRACE_KEY, f"00-{trace}-00f067aa0ba902b7-01"),
    ]
    async with serving(watched.tiny()) as it:
        await it.stub.Generate(REQUEST, metadata=metadata, timeout=9)
        await drained(it.stub.StreamGenerate(STREAM_REQUEST, metadata=metadata, timeout=9))
        await it.stub.Generate(REQUEST)
    for call in watched.calls[:2]:
        assert (call.caller.tenant, call.request_id) == ("acme", "r-1")
        assert (call.trace_id, call.trace_flags) == (trace, "01")
        assert call.deadline is not None
    assert (watched.calls[2].caller.tenant, watched.calls[2].request_id) == ("default", "")
    assert watched.calls[2].deadline is None
    assert watched.calls[2].trace_id != trace
    assert [line["request_id"] for line in it.log.events("call") if "request_id" in line] == ["r-1", "r-1"]


@pytest.mark.parametrize(
    ("trust", "host", "believed"),
    [("auto", "127.0.0.1", True), ("auto", "0.0.0.0", False), ("on", "0.0.0.0", True), ("off", "127.0.0.1", False)],  # noqa: S104 - that is what is looked at
)
async def test_a_tenant_is_believed_or_refused_and_never_ignored(trust, host, believed):
    watched = Watched()
    async with serving(watched.tiny(), trust_tenant=trust, host=host) as it:
        call = it.stub.Generate(REQUEST, metadata=[(TENANT_KEY, "acme")])
        if believed:
            await call
            assert watched.calls[0].caller.tenant == "acme"
        else:
            failure = await refused(call)
            assert failure.code() is grpc.StatusCode.UNAUTHENTICATED
            assert isinstance(from_rpc_error(failure, peer="tiny"), Unauthenticated)
        await it.stub.Generate(REQUEST, metadata=[(TENANT_KEY, "default")])


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (TENANT_KEY, "a/b", Unauthenticated),
        (TENANT_KEY, "x" * 65, Unauthenticated),
        (call_context.REQUEST_ID_KEY, "x" * 129, InvalidRequest),
    ],
)
async def test_odd_metadata_is_refused(key, value, error: type[ServiceError]):
    async with serving() as it:
        failure = await refused(it.stub.Generate(REQUEST, metadata=[(key, value)]))
    assert isinstance(from_rpc_error(failure, peer="tiny"), error)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_hangs_up_is_noticed_by_the_method(stream):
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    async def unary(request: pb.GenerateRequest) -> pb.GenerateResponse:
        await wait()
        return pb.GenerateResponse()

    async def streaming(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
        yield pb.StreamGenerateResponse()
        await wait()

    async with serving(Tiny(unary=unary, streaming=streaming)) as it:
        call = it.stub.StreamGenerate(STREAM_REQUEST) if stream else it.stub.Generate(REQUEST)
        await begun.wait()
        call.cancel()
        await asyncio.wait_for(given_up.wait(), 2)
        while not it.log.events("call"):  # noqa: ASYNC110 - the server does it
            await asyncio.sleep(0.001)
        assert it.log.events("call")[0]["code"] == "CANCELLED"


async def test_calls_are_counted_by_method_and_code_and_unknown_ones_as_other():
    async with serving(raising(NotFound(name="x"))) as it:
        await both(it)
        unknown: Any = it.channel.unary_unary("/omnisphere.providers.v1.ProvidersService/Nonsense")
        assert (await refused(unknown(b""))).code() is grpc.StatusCode.UNIMPLEMENTED
    labels = {"method": "/omnisphere.providers.v1.ProvidersService/Generate", "code": "NOT_FOUND"}
    assert it.registry.get_sample_value("omnisphere_grpc_server_call_duration_seconds_count", labels) == 1
    unknown_labels = {"method": "other", "code": "UNIMPLEMENTED"}
    assert it.registry.get_sample_value("omnisphere_grpc_server_call_duration_seconds_count", unknown_labels) == 1
    assert it.registry.get_sample_value("omnisphere_grpc_server_call_started_total", {"method": "other"}) == 1
    assert "Nonsense" not in str(list(it.registry.collect()))
