"""Rows of bench.wire become figures as it was meant; nothing is replayed here."""

from __future__ import annotations

from typing import Any

import pytest

from bench import score_wire
from bench.wire import rows
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.providers.adapters.usage import disjoint

USAGE = {
    "input_tokens": 9,
    "output_tokens": 7,
    "cached_input_tokens": 4,
    "cache_write_tokens": 0,
    "reasoning_tokens": 2,
}
EXPECTED = {
    "text": "a",
    "reasoning_text": "h m",
    "refusal": None,
    "tool_calls": [{"id": None, "name": "f", "arguments": {"x": 1}}],
    "finish_reason": "stop",
    "finish_class": "stop",
    "usage": USAGE,
    "signatures": ["2c70e12b7a0646f9"],
    "model": "dated",
    "complete": True,
    "error": None,
}
ERROR = {"status": 429, "type": None, "code": "RateLimitReached", "message": "slow", "retry_after": 1.0}


def record(**changes: Any) -> dict[str, Any]:
    return {"id": "r", "api": "openai.chat", "expected": EXPECTED | changes}


def row() -> dict[str, Any]:
    signature = chat_pb2.Signature(value='{"id":"rs_1","encrypted_content":"c2ln"}', origin_model="r")
    message = chat_pb2.Message(
        parts=[
            chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"), signature=signature),
            chat_pb2.Part(text="a"),
            chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="call_2", name="f", arguments_json='{"x": 1}')),
        ]
    )
    usage = chat_pb2.Usage(input_uncached_tokens=5, input_cache_read_tokens=4, output_tokens=5, reasoning_tokens=2)
    attempt = attempt_pb2.Attempt(provider_finish_reason="stop", usage=usage, upstream_model="dated")
    end = pb.GenerationEnd(finish_reason=chat_pb2.FINISH_REASON_STOP, attempts=[attempt])
    said = rows.said_of(message)
    said["signatures"] = EXPECTED["signatures"] if said["signatures"] else []
    return rows.empty("r") | said | rows.ended(end)


def test_an_answer_as_expected_has_no_difference() -> None:
    assert score_wire.differences(record(), row()) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"text": "b"}, ["text"]),
        ({"reasoning_text": "other"}, ["reasoning_text"]),
        ({"usage": None}, ["usage"]),
        ({"tool_calls": []}, ["tool_calls"]),
        ({"tool_calls": [{"id": "c", "name": "f", "arguments": {"x": 1}}]}, ["tool_calls"]),
        ({"error": ERROR}, ["no error"]),
    ],
)
def test_each_difference_is_named(changes: dict[str, Any], found: list[str]) -> None:
    assert score_wire.differences(record(**changes), row()) == found


def test_a_missing_row_is_wrong() -> None:
    assert score_wire.differences(record(), None) == ["missing"]
    assert score_wire.figures({"r": record()}, {})["recorded"] == {"right": 0, "total": 1}


def test_an_error_is_right_by_its_class_and_its_wait() -> None:
    failed = rows.empty("r") | {"error": {"class": "ratelimitreached", "retry_after": 1.2}}
    assert score_wire.differences(record(error=ERROR), failed) == []
    failed["error"] = {"class": "http_429", "retry_after": None}
    assert score_wire.differences(record(error=ERROR), failed) == ["class http_429", "retry_after None"]
    assert score_wire.error_class({"type": "INVALID_ARGUMENT", "code": 400, "status": 400}) == "invalid_argument"
    assert score_wire.error_class({"type": None, "code": None, "status": None}) == "http_200"


def test_what_a_provider_claims_beyond_its_total_is_said_as_it_claimed_it() -> None:
    """Grok at Azure reports more cached tokens than tokens."""
    claimed = disjoint(prompt=24, completion=2, cached=161)
    assert claimed.input_uncached_tokens + claimed.input_cache_read_tokens == 24
    said = rows.usage(claimed)
    assert said is not None
    assert (said["input_tokens"], said["cached_input_tokens"]) == (24, 161)
