"""The Chat Completions adapter against recorded traffic of real providers, over real HTTP.

The recordings lie beside a checkout and not in it; without them these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.errors import ServiceError
from services.providers.call import Caller
from services.providers.endpoints import Directory, Endpoint, ModelRow
from services.providers.metrics import ProvidersMetrics
from services.providers.patience import Limits
from services.providers.transport import Transport
from services.router.collect import Collector
from tests.contract.recordings import RECORDINGS, records, replaying
from tests.fakes.providers import wired

pytestmark = [
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside this checkout"),
    pytest.mark.slow,
    pytest.mark.timeout(90),
]
CLASSES = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
}


@pytest.fixture(scope="module")
async def replayed() -> Any:
    async with replaying("openai.chat.jsonl.gz", "faults.jsonl.gz") as port:
        transport = Transport(Limits(connect=2, first_token=5, whole=5, idle=5, total=10, most_bytes=32 << 20))
        yield transport, port
        await transport.close()


def _records(name: str) -> Iterator[dict[str, Any]]:
    return (record for record in records(name) if record["api"] == "openai.chat")


def _caller(transport: Transport, port: int, record_id: str) -> Caller:
    row = ModelRow(id="m", vendor="v", tier="small", window_tokens=8192, max_output_tokens=1024)
    endpoint = Endpoint(name="replay", base_url=f"http://127.0.0.1:{port}/{record_id}", serves={"m": "m"})
    return wired(Directory((row,), (endpoint,)), transport, ProvidersMetrics(CollectorRegistry()))[0]


def _generation() -> pb.Generation:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="hello")])
    return pb.Generation(model="m", request_id="r", conversation=chat_pb2.Conversation(messages=[message]))


async def _read(caller: Caller, *, stream: bool) -> dict[str, Any]:
    """What came, in the words of the recordings' expected values."""
    message, end, error = chat_pb2.Message(), None, None
    try:
        if stream:
            collector = Collector()
            async for event in caller.stream(_generation()):
                collector.apply(event.delta)
                end = event.end if event.HasField("end") else None
            message = collector.message()
        else:
            response = await caller.generate(_generation())
            message, end = response.message, response.end
    except ServiceError as failure:
        error = failure
    calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]
    return {
        "text": "".join(part.text for part in message.parts),
        "reasoning": "".join(part.reasoning.text for part in message.parts),
        "refusal": "".join(part.refusal for part in message.parts),
        "calls": [(call.id, call.name, _arguments(call.arguments_json)) for call in calls],
        "end": end,
        "error": error,
    }


def _difference(got: dict[str, Any], record: dict[str, Any]) -> str:
    """Empty when what came is what was expected; else which figure differs."""
    expected = record["expected"]
    if expected["error"]:
        return "" if got["error"] is not None else "no error"
    if not expected["complete"]:
        return "" if got["error"] is not None else "taken for complete"
    if got["error"] is not None:
        return f"error {got['error'].reason()} {got['error'].metadata}"
    if got["text"] != expected["text"]:
        return "text"
    if "".join(got["reasoning"].split()) != "".join(expected["reasoning_text"].split()):
        return "reasoning"
    if (got["refusal"] or None) != expected["refusal"]:
        return "refusal"
    wanted = [(call["id"], call["name"], call["arguments"]) for call in expected["tool_calls"]]
    found = got["calls"]
    made_up = [(f"call_{at}" if call[0] is None else call[0], *call[1:]) for at, call in enumerate(wanted)]
    if found != made_up:
        return f"tool calls {found} {wanted}"
    if expected["finish_class"] and CLASSES.get(got["end"].finish_reason, "other") != expected["finish_class"]:
        return "finish"
    return _usage_difference(got["end"].attempts[-1], expected["usage"])


def _arguments(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _usage_difference(attempt: attempt_pb2.Attempt, expected: dict[str, int] | None) -> str:
    usage = attempt.usage
    if expected is None:
        return "" if usage.estimated else "usage invented"
    cached, written = usage.input_cache_read_tokens, usage.input_cache_write_tokens
    totals = {
        "input_tokens": usage.input_uncached_tokens + cached + written,
        "output_tokens": usage.output_tokens + usage.reasoning_tokens,
        "cached_input_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": usage.reasoning_tokens,
    }
    # A few vendors report parts that are larger than their total: the total bounds them here.
    bound = {"cached_input_tokens": expected["input_tokens"]}
    bound["cache_write_tokens"] = expected["input_tokens"] - min(
        expected["input_tokens"], expected["cached_input_tokens"]
    )
    right = {name: min(figure, bound.get(name, figure)) for name, figure in expected.items()}
    wrong = {name: (figure, right[name]) for name, figure in totals.items() if figure != right[name]}
    return f"usage {wrong}" if wrong else ""


async def test_every_recorded_exchange_is_read_as_it_was_meant(replayed: Any) -> None:
    transport, port = replayed
    wrong = {}
    for record in _records("openai.chat.jsonl.gz"):
        got = await _read(_caller(transport, port, record["id"]), stream=record["stream"])
        if difference := _difference(got, record):
            wrong[record["id"], record["provider"]] = difference
    assert not wrong, "\n".join(f"{key}: {value}" for key, value in wrong.items())


async def test_no_fault_is_taken_for_a_complete_answer(replayed: Any) -> None:
    transport, port = replayed
    wrong = {}
    for record in _records("faults.jsonl.gz"):
        got = await _read(_caller(transport, port, record["id"]), stream=record["stream"])
        if difference := _difference(got, record):
            wrong[record["id"]] = difference
    assert not wrong, "\n".join(f"{key}: {value}" for key, value in wrong.items())
