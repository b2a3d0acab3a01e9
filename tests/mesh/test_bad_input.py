"""What can never succeed is refused at the edge: a precise error, and nothing called upstream."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import grpc
import pytest
from grpc_status import rpc_status

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import (
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    UnknownModel,
    UnknownPolicy,
)
from tests.mesh.harness import Mesh, asking

Spoil = Callable[[pb.CompleteRequest], None]


def _spoilt(spoil: Spoil) -> pb.CompleteRequest:
    request = pb.CompleteRequest(conversation=asking("A good question"))
    spoil(request)
    return request


def _empty(request: pb.CompleteRequest) -> None:
    request.conversation.Clear()


def _unknown_role(request: pb.CompleteRequest) -> None:
    request.conversation.messages[0].role = 77  # type: ignore[assignment]


def _result_without_call(request: pb.CompleteRequest) -> None:
    result = chat_pb2.ToolResult(tool_call_id="nobody", parts=[chat_pb2.Part(text="42")])
    request.conversation.messages.add(role=chat_pb2.ROLE_TOOL, parts=[chat_pb2.Part(tool_result=result)])


def _call_without_result(request: pb.CompleteRequest) -> None:
    call = chat_pb2.ToolCall(id="c1", name="look", arguments_json="{}")
    request.conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(tool_call=call)])


def _only_system(request: pb.CompleteRequest) -> None:
    request.conversation.messages[0].role = chat_pb2.ROLE_SYSTEM


def _hot(request: pb.CompleteRequest) -> None:
    request.conversation.sampling.temperature = -0.1


def _not_a_number(request: pb.CompleteRequest) -> None:
    request.conversation.sampling.top_p = math.nan


def _no_output(request: pb.CompleteRequest) -> None:
    request.conversation.sampling.max_output_tokens = -5


def _plain_http(request: pb.CompleteRequest) -> None:
    image = chat_pb2.Image(remote_uri="http://example.com/a.png")
    request.conversation.messages[0].parts.append(chat_pb2.Part(image=image))


def _schema_that_is_none(request: pb.CompleteRequest) -> None:
    request.conversation.tools.add(name="look", parameters_json="[1, 2")


def _negative_ttl(request: pb.CompleteRequest) -> None:
    request.options.cache.ttl.FromSeconds(-1)


def _strange_id(request: pb.CompleteRequest) -> None:
    request.options.request_id = "two words"


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_empty, "conversation.messages"),
        (_unknown_role, "conversation.messages[0].role"),
        (_result_without_call, "conversation.messages[1].parts[0].tool_result.tool_call_id"),
        (_call_without_result, "conversation.messages[1].parts[0].tool_call"),
        (_only_system, "conversation.messages"),
        (_hot, "conversation.sampling.temperature"),
        (_not_a_number, "conversation.sampling.top_p"),
        (_no_output, "conversation.sampling.max_output_tokens"),
        (_plain_http, "conversation.messages[0].parts[1].image.remote_uri"),
        (_schema_that_is_none, "conversation.tools[0].parameters_json"),
        (_negative_ttl, "options.cache.ttl"),
        (_strange_id, "options.request_id"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_called(mesh: Mesh, spoil: Spoil, field: str) -> None:
    before = await mesh.upstream_requests()
    with pytest.raises(InvalidRequest) as caught:
        await mesh.call(mesh.router.Complete, _spoilt(spoil))
    assert caught.value.metadata["field"] == field
    assert caught.value.metadata["problem"]
    assert await mesh.upstream_requests() == before


async def test_a_stream_refuses_what_a_unary_call_refuses(mesh: Mesh) -> None:
    events, error = await mesh.stream(pb.StreamCompleteRequest())
    assert events == []
    assert isinstance(error, InvalidRequest)
    bad = pb.StreamCompleteRequest(conversation=asking("x"), on_interruption=9)  # type: ignore[arg-type]
    _, error = await mesh.stream(bad)
    assert isinstance(error, InvalidRequest)
    assert error.metadata["field"] == "on_interruption"


KNOWN_POLICIES = "auto,cascade,cost_aware,local_first,rule,semantic,threshold"


async def test_unknown_names_are_answered_with_the_known_ones(mesh: Mesh) -> None:
    with pytest.raises(UnknownModel) as model:
        await mesh.complete("x", model="gpt-99")
    assert model.value.metadata["name"] == "gpt-99"
    assert "claude-sonnet" in model.value.metadata["known"]
    with pytest.raises(UnknownPolicy) as policy:
        await mesh.complete("x", options=pb.RequestOptions(policy="cheapest"))
    assert policy.value.metadata == {"name": "cheapest", "known": KNOWN_POLICIES}


async def test_a_message_over_the_limit_is_refused_with_the_limit(mesh: Mesh) -> None:
    with pytest.raises(MessageTooLarge) as caught:
        await mesh.complete("x" * (20 * 1024 * 1024))
    assert caught.value.metadata == {"limit_bytes": str(20 * 1024 * 1024)}


async def test_a_deadline_that_is_over_costs_nothing(mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    with pytest.raises(DeadlineExceeded):
        await mesh.complete("Too late", timeout=0.001)
    assert await mesh.upstream_requests() == before


async def test_the_raw_status_carries_error_info_and_the_bad_field(mesh: Mesh) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await mesh.router.Complete(_spoilt(_hot), timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(caught.value)
    assert status is not None
    names = [detail.type_url.rsplit("/", 1)[-1] for detail in status.details]
    assert names == ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]


async def test_bytes_that_are_no_message_are_a_bad_request(mesh: Mesh) -> None:
    path = "/omnisphere.router.v1.RouterService/Complete"
    raw = mesh.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(b"\xff\xff\xff", timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_whatever_is_sent_only_documented_reasons_come_back(mesh: Mesh) -> None:
    whole = pb.CompleteRequest(conversation=asking("A question to be torn apart", "And an answer", "And another"))
    whole.conversation.tools.add(name="look", parameters_json="{}")
    whole.conversation.sampling.temperature = 0.5
    whole.model = "sim-tiny-8k"
    good = whole.SerializeToString()
    random = Random(17)
    path = "/omnisphere.router.v1.RouterService/Complete"
    raw = mesh.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
    codes = set()
    for _ in range(300):
        torn = bytearray(good)
        for _ in range(random.randint(1, 6)):
            torn[random.randrange(len(torn))] = random.randrange(256)
        try:
            await raw(bytes(torn), timeout=5)
        except grpc.aio.AioRpcError as failure:
            codes.add(failure.code())
    assert codes == {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
