"""The service over gRPC on a real server, and called straight in one process."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from services.chassis.client import open_channel
from services.chassis.errors import ContextTooLong, InvalidRequest
from services.chassis.logs import Log
from services.chassis.peer import LocalInvoker
from services.chassis.server import Server
from services.context.ranks import CL100K, encoding
from services.context.server import build
from services.context.settings import ContextSettings, load
from tests.unit.context.conversations import assistant, conversation, user

NAME = "omnisphere.context.v1.ContextService"


@pytest.fixture(scope="session")
def service_settings(tmp_path_factory):
    free_ports = {"OMNISPHERE_CONTEXT_PORT": "0", "OMNISPHERE_CONTEXT_METRICS_PORT": "-1"}
    free_ports["OMNISPHERE_STATE"] = str(tmp_path_factory.mktemp("state"))
    return load(free_ports | {"OMNISPHERE_CONTEXT_DRAIN": "1ms", "OMNISPHERE_CONTEXT_GRACE": "1s"})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stub(service_settings: ContextSettings):
    log, registry = Log("context", stream=io.StringIO()), CollectorRegistry()
    server = Server(build(service_settings, log, registry), service_settings, log=log, registry=registry)
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}", health_name=NAME) as channel:
        yield rpc.ContextServiceStub(channel)
    await server.drain_and_stop()


def fit(window=100, reserved=10, policy=pb.FIT_POLICY_UNSPECIFIED):
    asked = conversation(user("old " * 80), assistant("yes"), user("new"))
    return pb.FitRequest(
        conversation=asked, model="gpt-5", window_tokens=window, reserved_output_tokens=reserved, policy=policy
    )


async def failed(call):
    """(code, ErrorInfo) of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    status = rpc_status.from_call(refused.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return refused.value.code(), info


async def test_fit_over_grpc(stub):
    response = await stub.Fit(fit(), timeout=10)
    assert [m.parts[0].text for m in response.messages] == ["new"]
    assert response.after.upper_bound <= response.budget_tokens == 90
    assert response.before.encoding == "o200k_base"


async def test_count_over_grpc(stub):
    request = pb.CountTokensRequest(conversation=conversation(user("hello world")), model="gpt-4")
    response = await stub.CountTokens(request, timeout=10)
    assert response.count == pb.TokenCount(
        estimate=9, upper_bound=9, encoding="cl100k_base", calibration_version="uncalibrated"
    )


async def test_tokens_become_the_text_that_they_stand_for(stub):
    vocabulary = encoding(CL100K)
    texts = ["hello world", "ein Übermaß 🦣"]
    rows = [pb.TokenRow(tokens=vocabulary.encode(text)) for text in texts]
    response = await stub.DecodeTokens(pb.DecodeTokensRequest(rows=rows), timeout=10)
    assert list(response.texts) == texts
    half = pb.TokenRow(tokens=rows[1].tokens[:-1])
    response = await stub.DecodeTokens(pb.DecodeTokensRequest(rows=[half]), timeout=10)
    assert response.texts[0].endswith("\ufffd")


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([], "rows"),
        ([[1], []], "rows[1].tokens"),
        ([[1], [4_000_000_000]], "rows[1].tokens"),
        ([[1] * 300_001], "rows"),
    ],
)
async def test_tokens_that_say_nothing_are_refused(stub, rows, field):
    request = pb.DecodeTokensRequest(rows=[pb.TokenRow(tokens=row) for row in rows])
    code, info = await failed(stub.DecodeTokens(request, timeout=10))
    assert (code, info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_what_is_wrong_is_named(stub):
    code, info = await failed(stub.Fit(fit(window=0), timeout=10))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert (info.domain, info.reason, info.metadata["field"]) == ("omnisphere", "INVALID_REQUEST", "window_tokens")
    code, info = await failed(stub.CountTokens(pb.CountTokensRequest(model="gpt-5"), timeout=10))
    assert (code, info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "conversation.messages")


async def test_what_cannot_fit_is_refused(stub):
    code, info = await failed(stub.Fit(fit(window=12, reserved=5), timeout=10))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_TOO_LONG")
    assert dict(info.metadata) == {"tokens": "13", "window": "12", "model": "gpt-5"}


async def test_a_report_of_usage_changes_later_counts(stub):
    counted = await stub.CountTokens(
        pb.CountTokensRequest(conversation=conversation(user("How many?")), model="grok-9"), timeout=10
    )
    assert counted.count.calibration_version == "uncalibrated"
    report = pb.ReportUsageRequest(count_ref=counted.count_ref)
    report.usage.input_cache_read_tokens = counted.count.estimate + 7
    said = await stub.ReportUsage(report, timeout=10)
    again = await stub.CountTokens(
        pb.CountTokensRequest(conversation=conversation(user("How many?")), model="grok-9"), timeout=10
    )
    assert said.calibration_version == again.count.calibration_version != "uncalibrated"
    assert counted.count.estimate < again.count.estimate <= again.count.upper_bound
    assert again.count_ref == counted.count_ref
    code, info = await failed(stub.ReportUsage(pb.ReportUsageRequest(), timeout=10))
    assert (code, info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "count_ref")


async def test_memory_over_grpc(stub):
    for method, request, field in (
        (stub.Remember, pb.RememberRequest(), "items"),
        (stub.Recall, pb.RecallRequest(), "query"),
        (stub.Forget, pb.ForgetRequest(), "ids"),
        (stub.Expand, pb.ExpandRequest(), "handles"),
    ):
        code, info = await failed(method(request, timeout=10))
        assert (code, info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    kept = await stub.Remember(pb.RememberRequest(items=[pb.MemoryItem(text="Tulips are red", tags=["t"])]), timeout=10)
    found = await stub.Recall(pb.RecallRequest(query="Which colour have tulips?"), timeout=10)
    assert [(item.id, item.text, list(item.tags)) for item in found.items] == [(kept.ids[0], "Tulips are red", ["t"])]
    assert found.items[0].score > 0
    assert found.items[0].HasField("remembered_at")
    assert (await stub.Forget(pb.ForgetRequest(ids=kept.ids), timeout=10)).items == 1
    code, info = await failed(stub.Expand(pb.ExpandRequest(handles=["nobody's"]), timeout=10))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_the_same_answers_inside_one_process(service_settings):
    log = Log("context", stream=io.StringIO())
    service = build(service_settings, log, CollectorRegistry())
    invoker = LocalInvoker(peer="context", log=log)
    servicer: Any = service.servicers[0].servicer
    await service.start()
    response = await invoker.unary(servicer.Fit, fit(), 10)
    assert [m.parts[0].text for m in response.messages] == ["new"]
    with pytest.raises(ContextTooLong):
        await invoker.unary(servicer.Fit, fit(window=12, reserved=5), 10)
    with pytest.raises(InvalidRequest):
        await invoker.unary(servicer.Remember, pb.RememberRequest(), 10)
    await service.stop()


async def test_readiness_does_not_wait_for_the_encoding(service_settings):
    settings, log = replace(service_settings, threads=1), Log("context", stream=io.StringIO())
    service = build(settings, log, CollectorRegistry())
    await service.start()
    (loading,) = (task for task in asyncio.all_tasks() if task.get_name() == "context-warm-up")
    assert not loading.done()
    await service.stop()
