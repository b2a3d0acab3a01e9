"""The service over gRPC on a real server, with the simulator behind it."""

from __future__ import annotations

import asyncio
import gc
import io
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as rpc
from services.chassis.client import open_channel
from services.chassis.logs import Log
from services.chassis.server import Server
from services.chassis.settings import StartError
from services.providers.server import build
from services.providers.settings import load
from services.simulator.faults import read_fault
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings
from tests.unit.providers.samples import CANARY, conversation, generation, user

NAME = "omnisphere.providers.v1.ProvidersService"
MODEL = "deepseek-v3.2"
ASKED = generation("deepseek-v3", conversation(user("What is the capital of France?")))
PREFIX = "OMNISPHERE_PROVIDERS"


class Running:
    """A running service and what it wrote."""

    def __init__(self, environ: dict[str, str]) -> None:
        own = {
            f"{PREFIX}_PORT": "0",
            f"{PREFIX}_METRICS_PORT": "-1",
            f"{PREFIX}_DRAIN": "1ms",
            f"{PREFIX}_GRACE": "1s",
            f"{PREFIX}_LEDGER": "off",
        }
        self.settings = load(own | {"OMNISPHERE_DISCOVER": "off"} | environ)
        self._written = io.StringIO()
        self.registry = CollectorRegistry()
        self._log = Log("providers", level="debug", stream=self._written)
        service = build(self.settings, self._log, self.registry)
        self.server = Server(service, self.settings, log=self._log, registry=self.registry)
        self.stub: Any = None
        self.health: Any = None

    @property
    def lines(self) -> str:
        """Everything that was logged."""
        self._log.flush()
        return self._written.getvalue()

    def booked(self, outcome: str) -> float:
        labels = {"model": MODEL, "endpoint": "simulator", "purpose": "answer", "outcome": outcome}
        return self.registry.get_sample_value("omnisphere_providers_attempts_total", labels) or 0.0


@asynccontextmanager
async def running(**environ: str) -> AsyncIterator[Running]:
    made = Running(environ)
    await made.server.start()
    try:
        async with open_channel(f"127.0.0.1:{made.server.port}", health_name=NAME) as channel:
            made.stub = rpc.ProvidersServiceStub(channel)
            made.health = health_pb2_grpc.HealthStub(channel)
            yield made
    finally:
        await made.server.drain_and_stop()


@pytest.fixture
async def service(simulator: Simulator) -> AsyncIterator[Running]:
    url = f"http://127.0.0.1:{simulator.port}"
    async with running(OMNISPHERE_SIMULATOR="on", OMNISPHERE_SIMULATOR_URL=url, OPENAI_API_KEY=CANARY) as made:
        yield made


async def failed(call: Awaitable[object]) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo, list[Any]]:
    """(code, ErrorInfo, the other details) of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    first, *rest = rpc_status.from_call(refused.value).details
    info = error_details_pb2.ErrorInfo()
    assert first.Unpack(info)
    return refused.value.code(), info, rest


async def collected(stub: Any, asked: pb.Generation) -> list[pb.StreamGenerateResponse]:
    return [response async for response in stub.StreamGenerate(pb.StreamGenerateRequest(generation=asked), timeout=5)]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not is_so():  # noqa: ASYNC110 - books and logs have no event to wait for
            await asyncio.sleep(0.002)


async def test_generate_answers_and_books(service: Running, simulator: Simulator):
    response = await service.stub.Generate(pb.GenerateRequest(generation=ASKED), timeout=5)
    (attempt,) = response.end.attempts
    assert response.message.parts[0].text
    assert (attempt.model, attempt.endpoint, attempt.simulated) == (MODEL, "simulator", True)
    assert attempt.cost.nanousd == simulator.books.account(MODEL).cost_nanousd
    assert service.booked("ok") == 1


async def test_a_stream_has_the_same_answer_and_one_end(service: Running):
    whole = await service.stub.Generate(pb.GenerateRequest(generation=ASKED), timeout=5)
    *deltas, end = await collected(service.stub, ASKED)
    assert all(response.HasField("delta") for response in deltas)
    assert [response.delta.index for response in deltas] == list(range(len(deltas)))
    assert "".join(part.text for response in deltas for part in response.delta.parts) == whole.message.parts[0].text
    assert end.end.attempts[0].usage == whole.end.attempts[0].usage


async def test_a_failing_status_carries_all_attempts_and_no_channel_repeats_it(service: Running, simulator: Simulator):
    for stream in (False, True):
        simulator.faults.add(read_fault({"kind": "status", "status": 503, "times": 2}))
        call = collected(service.stub, ASKED) if stream else service.stub.Generate(pb.GenerateRequest(generation=ASKED))
        code, info, (packed,) = await failed(call)
        assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE")
        found = attempt_pb2.AttemptsFailed()
        assert packed.Unpack(found)
        assert [(attempt.number, attempt.http_status) for attempt in found.attempts] == [(1, 503), (2, 503)]
    assert simulator.books.total().requests == 4
    assert service.booked("failed") == 4


async def test_a_stream_that_breaks_off_says_so_after_its_content(service: Running, simulator: Simulator):
    simulator.faults.add(read_fault({"kind": "stall", "after_chunks": 3}))
    call = service.stub.StreamGenerate(pb.StreamGenerateRequest(generation=ASKED), timeout=0.3)
    assert (await call.read()).HasField("delta")
    code = await call.code()
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: service.booked("cancelled") == 1)


async def test_a_client_that_leaves_hangs_up_on_the_provider_without_noise(
    service: Running, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
):
    noise: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", noise.append)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: noise.append(context))
    for _ in range(5):
        simulator.faults.add(read_fault({"kind": "stall", "after_chunks": 3}))
        call = service.stub.StreamGenerate(pb.StreamGenerateRequest(generation=ASKED), timeout=5)
        assert (await call.read()).HasField("delta")
        call.cancel()
    await until(lambda: simulator.books.total().interrupted == 5)
    await until(lambda: service.booked("cancelled") == 5)
    await until(lambda: service.lines.count('"code":"CANCELLED"') == 5)
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(before)
    assert noise == []
    assert "call_failed" not in service.lines


async def test_the_catalogue_comes_once_per_version(service: Running):
    first = await service.stub.ListModels(pb.ListModelsRequest(), timeout=5)
    assert len(first.models) >= 14
    deepseek = next(model for model in first.models if model.id == MODEL)
    assert deepseek.simulated
    assert deepseek.prices.source == "endpoint"
    assert [(endpoint.name, endpoint.state) for endpoint in deepseek.endpoints] == [
        ("simulator", model_pb2.Endpoint.STATE_READY)
    ]
    known = await service.stub.ListModels(pb.ListModelsRequest(known_version=first.version), timeout=5)
    assert (len(known.models), known.version) == (0, first.version)
    other = await service.stub.ListModels(pb.ListModelsRequest(known_version="older"), timeout=5)
    assert other == first


async def test_texts_become_vectors(service: Running):
    asked = pb.EmbedRequest(model="embedding-small", texts=["a", "b"], request_id="r-1", dimensions=8)
    response = await service.stub.Embed(asked, timeout=5)
    assert [len(embedding.values) for embedding in response.embeddings] == [8, 8]
    (attempt,) = response.attempts
    assert (attempt.model, attempt.cost.nanousd, attempt.cost.priced) == ("text-embedding-3-small", 40, True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": ""}, "model"),
        ({"request_id": ""}, "request_id"),
        ({"call_id": "x" * 65}, "call_id"),
        ({"texts": []}, "texts"),
        ({"texts": ["a", ""]}, "texts"),
        ({"texts": ["a"] * 2_049}, "texts"),
        ({"dimensions": 0}, "dimensions"),
        ({"model": MODEL}, "model"),
    ],
)
async def test_what_a_call_for_vectors_cannot_do_without_is_named(service: Running, change, field: str):
    asked = pb.EmbedRequest(**{"model": "embedding-small", "texts": ["a"], "request_id": "r-1"} | change)
    code, info, _ = await failed(service.stub.Embed(asked, timeout=5))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert info.metadata["field"] == field


async def test_a_model_that_makes_vectors_answers_no_conversation(service: Running):
    asked = pb.GenerateRequest(generation=generation("embedding-small"))
    code, info, _ = await failed(service.stub.Generate(asked, timeout=5))
    assert (code, info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "generation.model")


@pytest.mark.parametrize("field", ["model", "request_id", "conversation.messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_call_cannot_do_without_is_named(service: Running, field: str, stream: bool):
    asked = pb.Generation()
    asked.CopyFrom(ASKED)
    asked.ClearField(field.partition(".")[0])  # type: ignore[arg-type]
    call = collected(service.stub, asked) if stream else service.stub.Generate(pb.GenerateRequest(generation=asked))
    code, info, _ = await failed(call)
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert info.metadata["field"] == f"generation.{field}"


async def test_an_unknown_model_is_not_found(service: Running):
    asked = generation("no-such-model")
    code, info, rest = await failed(service.stub.Generate(pb.GenerateRequest(generation=asked), timeout=5))
    assert (code, info.reason, info.metadata["name"]) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL", "no-such-model")
    assert MODEL in info.metadata["known"]
    assert rest == []


async def test_keys_are_ignored_with_the_simulator_on_and_never_logged(service: Running):
    await service.stub.Generate(pb.GenerateRequest(generation=ASKED), timeout=5)
    written = service.lines
    assert '"event":"keys_ignored"' in written
    assert CANARY not in written


async def test_the_service_is_ready_before_its_simulator_and_finds_it_later():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with running(OMNISPHERE_SIMULATOR="on", OMNISPHERE_SIMULATOR_URL=f"http://127.0.0.1:{port}") as service:
        status = await service.health.Check(health_pb2.HealthCheckRequest(service=NAME), timeout=5)
        assert status.status == health_pb2.HealthCheckResponse.SERVING
        code, info, _ = await failed(service.stub.Generate(pb.GenerateRequest(generation=ASKED), timeout=5))
        assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ENDPOINT")
        version = (await service.stub.ListModels(pb.ListModelsRequest(), timeout=5)).version
        simulator = Simulator()
        await simulator.start(SimulatorSettings(port=port, latency_scale=0.0))
        try:
            await until(lambda: '"event":"endpoints"' in service.lines)
            await service.stub.Generate(pb.GenerateRequest(generation=ASKED), timeout=5)
            assert (await service.stub.ListModels(pb.ListModelsRequest(), timeout=5)).version != version
        finally:
            await simulator.stop()


async def test_without_simulated_models_the_service_waits_for_a_real_endpoint():
    made = Running({"OMNISPHERE_SIMULATOR": "off"})
    starting = asyncio.create_task(made.server.start())
    await until(lambda: '"event":"no_endpoint"' in made.lines)
    assert not starting.done()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with running(OMNISPHERE_SIMULATOR="off", OPENAI_API_KEY=CANARY) as service:
        listed = await service.stub.ListModels(pb.ListModelsRequest(), timeout=5)
        assert {endpoint.name for model in listed.models for endpoint in model.endpoints} == {"openai"}
        assert CANARY not in service.lines


def test_a_wrong_operators_file_stops_the_start(tmp_path: Path):
    path = tmp_path / "providers.toml"
    path.write_text("[[endpoint]]\nname = 7\n")
    with pytest.raises(StartError, match=r"endpoint\[0\]\.name: is not text"):
        Running({f"{PREFIX}_CONFIG": str(path)})
