"""A conversation becomes the request that the format wants; what it cannot carry is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters.openai_chat import OpenAIChat
from tests.unit.providers.samples import conversation, message, target, text, user

Degradation = chat_pb2.Degradation
NOTHING: frozenset[str] = frozenset()


def encoded(said: chat_pb2.Conversation, *, stream: bool = False, quirks: frozenset[str] = NOTHING) -> Any:
    return json.loads(OpenAIChat().encode(said, target(quirks), stream=stream).body)


def lost(said: chat_pb2.Conversation) -> list[tuple[str, str]]:
    """(kind, subject) of the degradations."""
    found = OpenAIChat().encode(said, target(), stream=False).degradations
    return [(Degradation.Kind.Name(entry.kind).removeprefix("KIND_"), entry.subject) for entry in found]


def assistant(*parts: chat_pb2.Part) -> chat_pb2.Message:
    return message(chat_pb2.ROLE_ASSISTANT, *parts)


def call(name: str, arguments: str = "{}", call_id: str = "c1") -> chat_pb2.Part:
    return chat_pb2.Part(tool_call=chat_pb2.ToolCall(id=call_id, name=name, arguments_json=arguments))


def result(call_id: str, *parts: chat_pb2.Part, is_error: bool = False) -> chat_pb2.Part:
    return chat_pb2.Part(tool_result=chat_pb2.ToolResult(tool_call_id=call_id, parts=parts, is_error=is_error))


def test_the_least_conversation_is_the_least_request():
    request = OpenAIChat().encode(conversation(), target(), stream=False)
    assert request.path == "/chat/completions"
    assert request.degradations == ()
    assert json.loads(request.body) == {
        "model": "own-name",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": False,
    }


def test_a_stream_asks_for_its_usage():
    body = encoded(conversation(), stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_every_sampling_field_is_sent_and_an_unset_one_is_not():
    sampling = chat_pb2.Sampling(
        temperature=0.0,
        top_p=0.5,
        max_output_tokens=7,
        stop=["a", "b"],
        seed=0,
        reasoning_effort=chat_pb2.REASONING_EFFORT_HIGH,
    )
    body = encoded(conversation(sampling=sampling))
    del body["model"], body["messages"], body["stream"]
    assert body == {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["a", "b"],
        "seed": 0,
        "reasoning_effort": "high",
    }


@pytest.mark.parametrize("effort", ["none", "low", "medium", "high"])
def test_every_reasoning_effort_has_its_word(effort):
    value = chat_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort.upper()}")
    assert encoded(conversation(sampling=chat_pb2.Sampling(reasoning_effort=value)))["reasoning_effort"] == effort


def test_the_limit_has_a_newer_name_at_some_vendors():
    limited = conversation(sampling=chat_pb2.Sampling(max_output_tokens=7))
    body = encoded(limited, quirks=frozenset({"max_completion_tokens"}))
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("quirks", "roles"),
    [
        (set(), ["system", "developer", "user"]),
        ({"developer_role"}, ["developer", "developer", "user"]),
        ({"system_role_only"}, ["system", "system", "user"]),
    ],
)
def test_instructions_have_the_role_that_the_vendor_knows(quirks, roles):
    said = conversation(
        message(chat_pb2.ROLE_SYSTEM, text("a")), message(chat_pb2.ROLE_DEVELOPER, text("b")), user("c")
    )
    assert [entry["role"] for entry in encoded(said, quirks=frozenset(quirks))["messages"]] == roles


def test_a_name_is_sent():
    said = conversation(message(chat_pb2.ROLE_USER, text("hi"), name="ann"))
    assert encoded(said)["messages"] == [{"role": "user", "name": "ann", "content": "hi"}]


def test_tools_are_sent_with_their_schema_in_its_order():
    tools = [
        chat_pb2.Tool(name="f", description="does", parameters_json='{"b": 1.0, "a": 2}', strict=True),
        chat_pb2.Tool(name="g"),
    ]
    request = OpenAIChat().encode(conversation(tools=tools), target(), stream=False)
    assert b'"parameters":{"b":1.0,"a":2}' in request.body
    assert json.loads(request.body)["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "does", "parameters": {"b": 1.0, "a": 2}, "strict": True},
        },
        {"type": "function", "function": {"name": "g"}},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (chat_pb2.ToolChoice(), None),
        (chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO), "auto"),
        (chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE), "none"),
        (chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED), "required"),
        (
            chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="f"),
            {"type": "function", "function": {"name": "f"}},
        ),
    ],
)
def test_every_tool_choice_has_its_word(choice, expected):
    body = encoded(conversation(tools=[chat_pb2.Tool(name="f")], tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert "parallel_tool_calls" not in body


def test_one_call_at_a_time_is_asked_for():
    body = encoded(conversation(tools=[chat_pb2.Tool(name="f")], tool_choice={"disable_parallel": True}))
    assert body["parallel_tool_calls"] is False


def test_every_response_format_has_its_form():
    form = chat_pb2.ResponseFormat
    for kind in (form.KIND_UNSPECIFIED, form.KIND_TEXT):
        assert "response_format" not in encoded(conversation(response_format=form(kind=kind)))
    body = encoded(conversation(response_format=form(kind=form.KIND_JSON_OBJECT)))
    assert body["response_format"] == {"type": "json_object"}
    schema = form(kind=form.KIND_JSON_SCHEMA, name="s", schema_json='{"type":"object"}', strict=True)
    assert encoded(conversation(response_format=schema))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
    }


def test_images_and_documents_stand_between_the_texts():
    parts = [
        text("look:"),
        chat_pb2.Part(image=chat_pb2.Image(data=b"\x01\x02", media_type="image/png", detail="low")),
        chat_pb2.Part(image=chat_pb2.Image(remote_uri="https://example.com/a.png")),
        chat_pb2.Part(document=chat_pb2.Document(data=b"\x03", media_type="application/pdf", name="a.pdf")),
        chat_pb2.Part(document=chat_pb2.Document(data=b"\x03", media_type="application/pdf")),
    ]
    said = conversation(user(*parts))
    assert encoded(said)["messages"][0]["content"] == [
        {"type": "text", "text": "look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQI=", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,Aw=="}},
        {"type": "file", "file": {"filename": "document", "file_data": "data:application/pdf;base64,Aw=="}},
    ]
    assert lost(said) == []


def test_marks_of_the_prompt_cache_go_where_they_are_known():
    said = conversation(user(chat_pb2.Part(text="a", cache_breakpoint=True)))
    assert encoded(said)["messages"][0]["content"] == "a"
    assert encoded(said, quirks=frozenset({"cache_marks"}))["messages"][0]["content"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    ]
    assert lost(said) == []


def test_several_texts_stay_apart():
    assert encoded(conversation(user("a", "b")))["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_an_assistants_turn_has_text_or_calls_or_a_refusal():
    said = conversation(
        user("q"),
        assistant(text("a"), text("b")),
        assistant(call("f", '{"x": 1}'), call("g", "", "c2")),
        assistant(text("so"), call("f", "{", "c3")),
        assistant(chat_pb2.Part(refusal="no")),
    )
    first, second = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    third = {"id": "c3", "type": "function", "function": {"name": "f", "arguments": "{"}}
    assert encoded(said)["messages"][1:] == [
        {"role": "assistant", "content": "ab"},
        {"role": "assistant", "content": None, "tool_calls": [first, second]},
        {"role": "assistant", "content": "so", "tool_calls": [third]},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]


def test_results_of_tools_follow_in_order_one_message_each():
    said = conversation(
        user("q"),
        assistant(call("f"), call("g", call_id="c2")),
        message(
            chat_pb2.ROLE_TOOL,
            result("c2", text("two"), text(" parts")),
            result("c1", text("broke"), is_error=True),
        ),
        user("and?"),
    )
    assert encoded(said)["messages"][2:] == [
        {"role": "tool", "tool_call_id": "c2", "content": "two parts"},
        {"role": "tool", "tool_call_id": "c1", "content": "Error: broke"},
        {"role": "user", "content": "and?"},
    ]


def test_what_the_format_cannot_carry_is_left_out_and_said():
    signature = chat_pb2.Signature(value="opaque", origin_model="m")
    thought = chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"), signature=signature)
    picture = chat_pb2.Part(image=chat_pb2.Image(data=b"\x01", media_type="image/png"))
    paper = chat_pb2.Part(document=chat_pb2.Document(remote_uri="https://example.com/a.pdf"))
    signed = call("f")
    signed.signature.CopyFrom(signature)
    said = conversation(
        user("q", paper),
        assistant(thought, text("a"), signed),
        message(chat_pb2.ROLE_TOOL, result("c1", text("r"), picture, paper)),
    )
    assert sorted(lost(said)) == sorted(
        [
            ("FEATURE_DROPPED", "conversation.messages[0].parts[1].document"),
            ("SIGNATURE_DROPPED", "conversation.messages[1].parts[0].signature"),
            ("FEATURE_DROPPED", "conversation.messages[1].parts[0].reasoning"),
            ("SIGNATURE_DROPPED", "conversation.messages[1].parts[2].signature"),
            ("FEATURE_DROPPED", "conversation.messages[2].parts[0].tool_result.parts[1].image"),
            ("FEATURE_DROPPED", "conversation.messages[2].parts[0].tool_result.parts[2].document"),
        ]
    )
    assert "opaque" not in json.dumps(encoded(said))
    assert encoded(said)["messages"] == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "tool_calls": [encoded_call()]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ]


def encoded_call() -> dict[str, object]:
    return {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_turn_of_which_nothing_is_left_is_still_a_turn():
    thought = chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"))
    assert encoded(conversation(user("q"), assistant(thought)))["messages"][1] == {"role": "assistant", "content": ""}


def test_vendor_options_are_merged_as_they_are():
    body = encoded(conversation(vendor_options_json='{"top_k": 3, "thinking": {"type": "enabled"}}'))
    assert (body["top_k"], body["thinking"]) == (3, {"type": "enabled"})


@pytest.mark.parametrize(
    "name", ["model", "messages", "stream", "n", "max_tokens", "max_completion_tokens", "functions", "temperature"]
)
def test_vendor_options_may_not_name_what_the_contract_carries(name):
    said = conversation(vendor_options_json=json.dumps({name: 1}), sampling=chat_pb2.Sampling(temperature=1))
    with pytest.raises(InvalidRequest) as refused:
        encoded(said)
    assert refused.value.metadata["field"] == "conversation.vendor_options_json"
    assert name in refused.value.metadata["problem"]


def test_half_a_surrogate_pair_in_a_schema_stays_an_escape():
    tool = chat_pb2.Tool(name="f", parameters_json='{"pattern": "\\ud800", "other": "\\ud83d\\ude00"}')
    request = OpenAIChat().encode(conversation(tools=[tool]), target(), stream=False)
    assert '{"pattern":"\\ud800","other":"😀"}' in request.body.decode()
