"""Anthropic's Messages: what only this format has, in requests and in answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import ErrorInAnswer
from services.providers.adapters.anthropic_messages import AnthropicMessages
from tests.unit.providers.parts import assistant, call, lost, picture, result, signed, thoughts, tools
from tests.unit.providers.reading import begun, read_whole
from tests.unit.providers.samples import conversation, message, target, text, user

EFFORT = chat_pb2.ReasoningEffort.Value


def encoded(said: chat_pb2.Conversation, *quirks: str, stream: bool = False) -> Any:
    return json.loads(AnthropicMessages().encode(said, target(quirks), stream=stream).body)


def answered(*content: dict[str, object], stop: str = "end_turn", usage: object = None) -> Any:
    document = {"type": "message", "id": "up", "content": content, "stop_reason": stop, "usage": usage}
    return read_whole("anthropic_messages", json.dumps(document).encode())


def thinking(said: chat_pb2.Conversation, effort: str, *quirks: str, limit: int = 8_000) -> Any:
    said.sampling.reasoning_effort = EFFORT(f"REASONING_EFFORT_{effort}")
    said.sampling.max_output_tokens = limit
    return encoded(said, *quirks)


def test_the_least_conversation_is_the_least_request() -> None:
    request = AnthropicMessages().encode(conversation(), target(), stream=False)
    assert (request.path, request.degradations) == ("/messages", ())
    content = [{"type": "text", "text": "hello"}]
    assert json.loads(request.body) == {
        "model": "own-name",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": content}],
        "stream": False,
    }
    assert AnthropicMessages().headers("k", frozenset()) == {"anthropic-version": "2023-06-01", "x-api-key": "k"}


def test_instructions_stand_outside_the_turns_and_one_between_them_says_that_it_moved() -> None:
    late = message(chat_pb2.ROLE_DEVELOPER, text("b"))
    said = conversation(message(chat_pb2.ROLE_SYSTEM, text("a")), user("q"), late)
    assert encoded(said)["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [turn["role"] for turn in encoded(said)["messages"]] == ["user"]
    assert lost("anthropic_messages", said) == [("FEATURE_DROPPED", "conversation.messages[2].role")]


def test_all_results_stand_first_in_the_one_turn_after_their_calls() -> None:
    said = conversation(
        user("q"),
        assistant(text("so"), call("f", '{"x": 1.0}'), call("g", call_id="c:2")),
        message(chat_pb2.ROLE_TOOL, result("c:2", text("two"))),
        message(chat_pb2.ROLE_TOOL, result("c1", text("one"), picture(), is_error=True)),
        user("and?"),
    )
    asked, answer, after = encoded(said)["messages"]
    assert [block["type"] for block in answer["content"]] == ["text", "tool_use", "tool_use"]
    assert [block.get("id") for block in answer["content"]] == [None, "c1", "c_2"]
    assert answer["content"][1]["input"] == {"x": 1.0}
    source = {"type": "base64", "media_type": "image/png", "data": "AQI="}
    assert after["content"] == [
        {"type": "tool_result", "tool_use_id": "c_2", "content": "two"},
        {
            "type": "tool_result",
            "tool_use_id": "c1",
            "content": [{"type": "text", "text": "one"}, {"type": "image", "source": source}],
            "is_error": True,
        },
        {"type": "text", "text": "and?"},
    ]
    assert asked["role"] == after["role"] == "user"


def test_an_id_that_comes_again_is_another_one() -> None:
    round_of_tools = [assistant(call("f", call_id="call_0")), message(chat_pb2.ROLE_TOOL, result("call_0", text("r")))]
    turns = encoded(conversation(user("q"), *round_of_tools, *round_of_tools))["messages"]
    ids = [turn["content"][0].get("id") or turn["content"][0].get("tool_use_id") for turn in turns[1:]]
    assert ids == ["call_0", "call_0", "call_0_1", "call_0_1"]


def test_thoughts_go_back_unchanged_and_only_with_their_own_proof() -> None:
    said = conversation(
        user("q"),
        assistant(
            signed(thoughts("hm"), "c2ln"),
            signed(thoughts("", redacted=True), "ZGF0YQ"),
            signed(thoughts("foreign"), "other", "another"),
            thoughts("unsigned"),
            text("a"),
        ),
    )
    assert encoded(said)["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ"},
        {"type": "text", "text": "a"},
    ]
    path = "conversation.messages[1].parts"
    assert lost("anthropic_messages", said) == [
        ("SIGNATURE_DROPPED", f"{path}[2].signature"),
        ("FEATURE_DROPPED", f"{path}[2].reasoning"),
        ("FEATURE_DROPPED", f"{path}[3].reasoning"),
    ]


@pytest.mark.parametrize(("limit", "budget"), [(1_025, 1_024), (3_000, 1_500), (100_000, 8_192)])
def test_a_budget_is_at_least_1024_and_below_the_limit(limit: int, budget: int) -> None:
    body = thinking(conversation(sampling={"temperature": 0.5}), "MEDIUM", limit=limit)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert "temperature" not in body


def test_where_thinking_is_not_possible_it_is_said() -> None:
    forced = conversation(tools=tools("f"), tool_choice={"mode": chat_pb2.ToolChoice.MODE_REQUIRED})
    results = message(chat_pb2.ROLE_TOOL, result("c1", text("r")))
    loop = conversation(user("q"), assistant(call("f")), results, tools=tools("f"))
    for said, limit in ((conversation(), 1_024), (forced, 8_000), (loop, 8_000)):
        assert "thinking" not in thinking(said, "HIGH", limit=limit)
        assert ("FEATURE_DROPPED", "conversation.sampling.reasoning_effort") in lost("anthropic_messages", said)


def test_a_model_that_decides_itself_is_told_a_word() -> None:
    said = conversation(sampling={"temperature": 0.5, "top_p": 0.5})
    body = thinking(said, "LOW", "adaptive_thinking", "no_sampling")
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
    assert not {"temperature", "top_p"} & body.keys()
    assert "thinking" not in thinking(conversation(), "NONE", "adaptive_thinking")


def test_a_schema_is_an_output_format_and_an_object_of_any_shape_cannot_be_asked_for() -> None:
    form = chat_pb2.ResponseFormat
    schema = form(kind=form.KIND_JSON_SCHEMA, name="s", schema_json='{"type":"object"}')
    assert encoded(conversation(response_format=schema))["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    anything = conversation(response_format=form(kind=form.KIND_JSON_OBJECT))
    assert lost("anthropic_messages", anything) == [("FEATURE_DROPPED", "conversation.response_format")]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, None),
        ({"mode": 1}, {"type": "auto"}),
        ({"mode": 2, "disable_parallel": True}, {"type": "none"}),
        ({"mode": 3}, {"type": "any"}),
        ({"mode": 4, "name": "f"}, {"type": "tool", "name": "f"}),
        ({"disable_parallel": True}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_every_tool_choice_has_its_word(choice: dict[str, Any], expected: object) -> None:
    assert encoded(conversation(tools=tools("f"), tool_choice=choice)).get("tool_choice") == expected


def test_marks_of_the_prompt_cache_are_kept_the_last_four_of_them() -> None:
    marked = [chat_pb2.Part(text=str(at), cache_breakpoint=True) for at in range(6)]
    content = encoded(conversation(user(*marked)))["messages"][0]["content"]
    assert [("cache_control" in block) for block in content] == [False, False, True, True, True, True]
    assert content[-1]["cache_control"] == {"type": "ephemeral"}
    assert lost("anthropic_messages", conversation(user(*marked))) == []


def test_texts_of_nothing_are_left_out_and_a_beginning_ends_without_a_space() -> None:
    said = conversation(user("q", " "), assistant(text("Once ")))
    assert [turn["content"] for turn in encoded(said)["messages"]] == [
        [{"type": "text", "text": "q"}],
        [{"type": "text", "text": "Once"}],
    ]
    with pytest.raises(InvalidRequest):
        encoded(conversation(user(" ")))


def test_arguments_that_are_no_object_are_wrapped_and_said() -> None:
    said = conversation(user("q"), assistant(call("f", "{")), message(chat_pb2.ROLE_TOOL, result("c1", text("r"))))
    assert encoded(said)["messages"][1]["content"][0]["input"] == {"raw_arguments": "{"}
    subject = "conversation.messages[1].parts[0].tool_call.arguments_json"
    assert lost("anthropic_messages", said) == [("FEATURE_DROPPED", subject)]


@pytest.mark.parametrize("options", ['{"system": "x"}', '{"output_config": {"format": {}}}', '{"thinking": {}}'])
def test_vendor_options_may_not_name_what_the_contract_carries(options: str) -> None:
    with pytest.raises(InvalidRequest):
        encoded(conversation(vendor_options_json=options))
    allowed = conversation(vendor_options_json='{"top_k": 3, "output_config": {"task_budget": 1}}')
    assert encoded(allowed)["output_config"] == {"task_budget": 1}


def test_documents_are_pdfs_addresses_or_plain_text() -> None:
    documents = [
        chat_pb2.Document(data=b"\x01\x02", media_type="application/pdf", name="a.pdf"),
        chat_pb2.Document(remote_uri="https://example.com/a.pdf"),
        chat_pb2.Document(data="ä".encode(), media_type="text/markdown"),
        chat_pb2.Document(data=b"\x01", media_type="application/zip"),
    ]
    said = conversation(user(*(chat_pb2.Part(document=document) for document in documents)))
    sources = [block["source"]["type"] for block in encoded(said)["messages"][0]["content"]]
    assert sources == ["base64", "url", "text"]
    assert lost("anthropic_messages", said) == [("FEATURE_DROPPED", "conversation.messages[0].parts[3].document")]


def test_tokens_of_the_cache_are_counted_beside_the_others() -> None:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 7, "output_tokens": 2}
    _, ending = answered({"type": "text", "text": "a"}, usage=usage)
    found = ending.usage
    assert (found.input_uncached_tokens, found.input_cache_read_tokens, found.input_cache_write_tokens) == (3, 50, 7)


def test_what_the_providers_own_tools_did_is_dropped_and_said() -> None:
    read, ending = answered(
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "found", "citations": [{"type": "char_location"}]},
        {"type": "Something NEW!"},
    )
    assert [part.text for part in read.parts] == ["found"]
    assert [degradation.subject for degradation in ending.degradations] == [
        "answer.server_tool_use",
        "answer.web_search_tool_result",
        "answer.citations",
        "answer.something_new_",
    ]


def test_several_thoughts_stand_between_the_calls_that_they_belong_to() -> None:
    read, _ = answered(
        {"type": "thinking", "thinking": "one", "signature": "s1"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "thinking", "thinking": "two", "signature": "s2"},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
        stop="tool_use",
    )
    kinds = [(part.WhichOneof("content"), part.signature.value) for part in read.parts]
    assert kinds == [("reasoning", "s1"), ("tool_call", ""), ("reasoning", "s2"), ("tool_call", "")]
    assert [part.tool_call.arguments_json for part in read.parts[1::2]] == ['{"x":1}', "{}"]


def test_a_refusal_is_a_reply_of_nothing() -> None:
    read, ending = answered(stop="refusal")
    assert (list(read.parts), ending.finish_reason) == ([], chat_pb2.FINISH_REASON_CONTENT_FILTER)


def test_an_error_event_ends_the_stream() -> None:
    reading = begun("anthropic_messages")
    reading.event('{"type": "ping"}')
    with pytest.raises(ErrorInAnswer) as raised:
        reading.event('{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}')
    assert raised.value.body["type"] == "overloaded_error"
