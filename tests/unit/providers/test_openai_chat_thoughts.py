"""Thoughts in Chat Completions: every vendor has another field for them, and wants them back in it, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters.openai_chat import OpenAIChat
from tests.unit.providers.parts import assistant, call, lost, signed, thoughts
from tests.unit.providers.reading import read_stream, read_whole
from tests.unit.providers.samples import conversation, target, text, user
from tests.unit.providers.wire_samples import sse

TEXT_DETAIL = {"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1", "index": 0, "signature": "c2ln"}
HIDDEN = {"type": "reasoning.encrypted", "data": "Z0FB", "id": "rs_1", "format": "openai-responses-v1", "index": 1}
SUMMARY = {"type": "reasoning.summary", "summary": "short", "format": "openai-responses-v1", "index": 2}


def answered(**fields: object) -> chat_pb2.Message:
    choice = {"message": {"role": "assistant", "content": "a", **fields}, "finish_reason": "stop"}
    return read_whole("openai_chat", json.dumps({"choices": [choice]}).encode())[0]


def turn(said: chat_pb2.Message, *quirks: str) -> Any:
    request = OpenAIChat().encode(conversation(user("q"), said), target(quirks), stream=False)
    return json.loads(request.body)["messages"][1]


def test_signed_details_are_parts_that_go_back_as_they_came() -> None:
    read = answered(reasoning="hmshort", reasoning_details=[TEXT_DETAIL, HIDDEN, SUMMARY])
    kinds = [(part.reasoning.text, part.HasField("signature")) for part in read.parts[:3]]
    assert kinds == [("hm", True), ("", True), ("short", False)]
    echoed = turn(read, "reasoning_details")
    assert (echoed["content"], echoed["reasoning_details"]) == ("a", [TEXT_DETAIL, HIDDEN])


def test_a_streamed_detail_is_put_together() -> None:
    def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    head = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    chunks = [
        chunk(reasoning="h", reasoning_details=[head | {"text": "h", "signature": ""}]),
        chunk(reasoning="m", reasoning_details=[head | {"text": "m"}]),
        chunk(reasoning_details=[head | {"signature": "c2ln"}]),
        chunk("stop", content="a"),
    ]
    read, _, heard = read_stream("openai_chat", [sse(chunks)])
    assert read == heard
    assert turn(read, "reasoning_details")["reasoning_details"] == [TEXT_DETAIL]


def test_details_without_proof_go_back_as_text() -> None:
    read = answered(reasoning="short", reasoning_details=[SUMMARY])
    assert [part.WhichOneof("content") for part in read.parts] == ["reasoning", "text"]
    assert turn(read, "reasoning_details")["reasoning"] == "short"


@pytest.mark.parametrize(
    ("quirk", "expected"),
    [
        ("reasoning_content", {"content": "a", "reasoning_content": "hm"}),
        ("reasoning_details", {"content": "a", "reasoning": "hm"}),
        (
            "thinking_content",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "a"},
                ]
            },
        ),
    ],
)
def test_unsigned_thoughts_go_back_in_the_vendors_field(quirk: str, expected: dict[str, object]) -> None:
    said = assistant(thoughts("hm"), text("a"))
    assert turn(said, quirk) == {"role": "assistant"} | expected
    assert lost("openai_chat", conversation(user("q"), said), quirk) == []


def test_without_a_field_thoughts_stay_out_and_that_is_said() -> None:
    said = conversation(user("q"), assistant(thoughts("hm"), signed(thoughts(""), "s"), call("f")))
    assert lost("openai_chat", said) == [
        ("FEATURE_DROPPED", "conversation.messages[1].parts[0].reasoning"),
        ("SIGNATURE_DROPPED", "conversation.messages[1].parts[1].signature"),
        ("FEATURE_DROPPED", "conversation.messages[1].parts[1].reasoning"),
    ]


def test_proofs_of_another_model_stay_out() -> None:
    foreign = signed(thoughts("hm"), json.dumps(TEXT_DETAIL), "another")
    said = conversation(user("q"), assistant(foreign, text("a")))
    assert turn(said.messages[1], "reasoning_details")["reasoning"] == "hm"
    subject = "conversation.messages[1].parts[0].signature"
    assert lost("openai_chat", said, "reasoning_details") == [("SIGNATURE_DROPPED", subject)]


@pytest.mark.parametrize(
    ("quirks", "expected"),
    [
        ((), {"reasoning_effort": "none", "temperature": 0.5, "seed": 1}),
        (("thinking_switch",), {"thinking": {"type": "disabled"}, "temperature": 0.5, "seed": 1}),
        (("no_reasoning_effort", "random_seed"), {"temperature": 0.5, "random_seed": 1}),
        (("no_sampling", "minimal_effort"), {"reasoning_effort": "minimal", "seed": 1}),
    ],
)
def test_settings_have_the_words_that_the_vendor_knows(quirks: tuple[str, ...], expected: dict[str, object]) -> None:
    effort = chat_pb2.REASONING_EFFORT_NONE
    sampling = chat_pb2.Sampling(temperature=0.5, seed=1, reasoning_effort=effort)
    request = OpenAIChat().encode(conversation(sampling=sampling), target(quirks), stream=True)
    body = json.loads(request.body)
    assert body.pop("stream_options") == {"include_usage": True}
    assert {name: body[name] for name in body if name not in ("model", "messages", "stream")} == expected
    without = OpenAIChat().encode(conversation(), target(["no_stream_options"]), stream=True)
    assert "stream_options" not in json.loads(without.body)


def test_what_has_no_place_is_dropped_and_said() -> None:
    choice = {"message": {"content": None, "audio": {"id": "a"}}, "finish_reason": "stop"}
    read, ending = read_whole("openai_chat", json.dumps({"choices": [choice]}).encode())
    assert not read.parts
    assert [degradation.subject for degradation in ending.degradations] == ["answer.audio"]
