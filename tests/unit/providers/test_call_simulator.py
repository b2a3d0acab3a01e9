"""Calls to the simulator, with every fault that it knows: each attempt is booked once, and the books agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.errors import (
    ContentFiltered,
    ContextTooLong,
    ProviderAuth,
    ProviderRateLimited,
    ProviderUnavailable,
    ServiceError,
    StreamInterrupted,
    UnknownModel,
)
from services.providers.call import Caller
from services.providers.discover import Sources, discover
from services.providers.endpoints import Directory, shipped
from services.providers.metrics import ProvidersMetrics
from services.providers.operator_file import OperatorFile
from services.providers.transport import Transport
from services.simulator.faults import FaultKind, read_fault
from services.simulator.server import Simulator
from tests.fakes.providers import wired
from tests.unit.providers.calls import attempt_of, failed, streamed
from tests.unit.providers.conftest import PATIENT
from tests.unit.providers.samples import conversation, generation, user

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def simulated(simulator: Simulator) -> AsyncIterator[tuple[Caller, CollectorRegistry]]:
    """A caller of the simulator, with the prices that it states."""
    transport, registry = (
        Transport(replace(PATIENT, connect=0.2, first_token=0.2, whole=0.2, idle=0.2)),
        CollectorRegistry(),
    )
    url = f"http://127.0.0.1:{simulator.port}"
    sources = Sources(shipped(), OperatorFile(), {}, "on", url, look_locally=False)
    found: Directory = await discover(sources, transport)
    caller, _ = wired(found, transport, ProvidersMetrics(registry))
    yield caller, registry
    await transport.close()


# A model for each wire format that simulated models speak, and its endpoint.
PLACES = {
    "deepseek-v3.2": "simulator",
    "gpt-5.6-sol": "simulator-responses",
    "claude-sonnet-5-5": "simulator-messages",
    "gemini-3.8-flash": "simulator-gemini",
}
MODEL = "deepseek-v3.2"
every_format = pytest.mark.parametrize("model", PLACES)


def asked(model: str) -> pb.Generation:
    return generation(model, conversation(user("What is the capital of France? Answer in one sentence.")))


@every_format
@pytest.mark.parametrize("stream", [False, True])
async def test_our_books_are_those_of_the_simulator(simulator: Simulator, simulated, model: str, stream: bool):
    caller, registry = simulated
    end = (await streamed(caller, asked(model)))[1] if stream else (await caller.generate(asked(model))).end
    (attempt,) = end.attempts
    account = simulator.books.account(model)
    assert account.completed == 1
    assert attempt.simulated
    assert attempt.usage == chat_pb2.Usage(
        input_uncached_tokens=account.input_tokens, output_tokens=account.output_tokens
    )
    assert attempt.cost == chat_pb2.Cost(nanousd=account.cost_nanousd, priced=True)
    labels = {"model": model, "source": "reported"}
    assert registry.get_sample_value("omnisphere_providers_cost_nanousd_total", labels) == account.cost_nanousd


U, I, P = ProviderUnavailable, StreamInterrupted, None  # noqa: E741 - the columns of the table
# fault -> (class when whole, class when streamed); None: a good answer
FAULTS: list[tuple[dict[str, object], type[ServiceError] | None, type[ServiceError] | None]] = [
    ({"kind": "status", "status": 503}, U, U),
    ({"kind": "status", "status": 429, "retry_after": "3"}, ProviderRateLimited, ProviderRateLimited),
    ({"kind": "status", "status": 401}, ProviderAuth, ProviderAuth),
    ({"kind": "status", "status": 404}, UnknownModel, UnknownModel),
    ({"kind": "reset"}, U, U),
    ({"kind": "silence"}, U, U),
    ({"kind": "slow_first", "delay_ms": 20}, P, P),
    ({"kind": "cut", "pause_ms": 50}, U, I),
    ({"kind": "cut", "after_chunks": 1}, U, U),
    ({"kind": "clean_cut"}, U, I),
    ({"kind": "clean_cut", "after_chunks": 0}, U, U),
    ({"kind": "stall"}, U, I),
    ({"kind": "malformed"}, U, I),
    ({"kind": "empty_body"}, U, U),
    ({"kind": "html"}, U, U),
    ({"kind": "html", "status": 502}, U, U),
    ({"kind": "no_done"}, P, P),  # but for Messages, see below
    ({"kind": "none"}, P, P),
    ({"kind": "billed_empty"}, U, U),
    ({"kind": "error_event"}, U, I),
    ({"kind": "content_filter"}, ContentFiltered, ContentFiltered),
    ({"kind": "context_length"}, ContextTooLong, ContextTooLong),
]


def test_every_fault_of_the_simulator_is_in_the_table():
    assert {row["kind"] for row, _, _ in FAULTS} | {"drip"} == set(FaultKind)


@every_format
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", FAULTS, ids=lambda row: "-".join(str(value) for value in row[0].values()))
async def test_every_fault_of_the_simulator_is_booked_once(
    simulator: Simulator, simulated, row, model: str, stream: bool
):
    fault, whole_kind, stream_kind = row
    kind = stream_kind if stream else whole_kind
    if stream and fault["kind"] == "no_done" and PLACES[model] == "simulator-messages":
        kind = I  # the last event of Messages says no more, but it always comes
    caller, registry = simulated
    simulator.faults.add(read_fault(fault))
    if kind is None:
        end = (await streamed(caller, asked(model)))[1] if stream else (await caller.generate(asked(model))).end
        attempt = end.attempts[0]
        assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_OK
    else:
        error, said = await failed(caller, stream=stream, asked=asked(model))
        assert type(error) is kind or (kind is StreamInterrupted and type(error) is ProviderUnavailable and not said)
        attempt = attempt_of(error)
        interrupted = attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_INTERRUPTED
        assert interrupted or not said
        assert kind is StreamInterrupted or not interrupted
    outcome = attempt_pb2.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_").lower()
    labels = {"model": model, "endpoint": PLACES[model], "purpose": "answer"}
    assert registry.get_sample_value("omnisphere_providers_attempts_total", labels | {"outcome": outcome}) == 1
    place = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": PLACES[model], "gen_ai_request_model": model}
    took = place | {"error_type": attempt.error_reason}
    assert registry.get_sample_value("gen_ai_client_operation_duration_seconds_count", took) == 1
    assert simulator.books.total().requests == 1


async def test_a_stream_that_is_left_is_an_interruption_in_the_simulators_books(simulator: Simulator, simulated):
    caller, _ = simulated
    simulator.faults.add(read_fault({"kind": "stall"}))
    responses = caller.stream(asked(MODEL))
    await anext(responses)
    await responses.aclose()
    async with asyncio.timeout(2):
        while not simulator.books.total().interrupted:  # noqa: ASYNC110 - the books have no event to wait for
            await asyncio.sleep(0.001)
