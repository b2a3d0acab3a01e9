"""Cohere's chat and Ollama's own: what only these formats have, in requests and in answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import ErrorInAnswer, WireFormat
from services.providers.adapters.formats import CHAT
from tests.unit.providers.parts import assistant, call, lost, picture, result, thoughts, tools
from tests.unit.providers.reading import begun, read_whole
from tests.unit.providers.samples import conversation, message, target, text, user

SAID = conversation(
    message(chat_pb2.ROLE_DEVELOPER, text("d")),
    user("q", picture()),
    assistant(thoughts("hm"), text("so"), call("f", '{"x": 1.0}')),
    message(chat_pb2.ROLE_TOOL, result("c1", text("one"), text("!"))),
)


def encoded(name: WireFormat, said: chat_pb2.Conversation, *quirks: str) -> Any:
    return json.loads(CHAT[name].encode(said, target(quirks), stream=True).body)


def test_cohere_knows_thoughts_pictures_and_texts_of_arguments() -> None:
    function = {"name": "f", "arguments": '{"x": 1.0}'}
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}]
    url = {"url": "data:image/png;base64,AQI="}
    assert encoded("cohere_chat", SAID)["messages"] == [
        {"role": "system", "content": "d"},
        {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": url}]},
        {
            "role": "assistant",
            "content": content,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one!"},
    ]
    assert lost("cohere_chat", SAID) == []


def test_ollama_knows_objects_of_arguments_and_results_by_the_tools_name() -> None:
    assert encoded("ollama_chat", SAID)["messages"] == [
        {"role": "system", "content": "d"},
        {"role": "user", "content": "q", "images": ["AQI="]},
        {
            "role": "assistant",
            "content": "so",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.0}}}],
        },
        {"role": "tool", "tool_name": "f", "content": "one!"},
    ]
    assert lost("ollama_chat", SAID) == []


def test_settings_have_their_names() -> None:
    form = chat_pb2.ResponseFormat
    said = conversation(
        response_format=form(kind=form.KIND_JSON_SCHEMA, name="s", schema_json='{"b":1}'),
        sampling={"temperature": 0.5, "top_p": 0.1, "max_output_tokens": 7, "seed": 1, "stop": ["x"]},
    )
    body = encoded("cohere_chat", said)
    assert (body["p"], body["max_tokens"], body["stop_sequences"]) == (0.1, 7, ["x"])
    assert body["response_format"] == {"type": "json_object", "json_schema": {"b": 1}}
    body = encoded("ollama_chat", said)
    assert body["options"] == {"temperature": 0.5, "top_p": 0.1, "num_predict": 7, "seed": 1, "stop": ["x"]}
    assert body["format"] == {"b": 1}


@pytest.mark.parametrize(
    ("effort", "cohere", "ollama", "levels"),
    [
        ("NONE", {"type": "disabled"}, False, False),
        ("LOW", {"type": "enabled", "token_budget": 1024}, True, "low"),
    ],
)
def test_an_effort_is_a_budget_or_a_switch(effort: str, cohere: object, ollama: bool, levels: object) -> None:
    said = conversation(sampling={"reasoning_effort": chat_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort}")})
    assert encoded("cohere_chat", said)["thinking"] == cohere
    assert encoded("ollama_chat", said)["think"] is ollama
    assert encoded("ollama_chat", said, "thinking_level")["think"] == levels


def test_a_call_of_one_tool_is_asked_for_by_offering_no_other() -> None:
    choice = {"mode": chat_pb2.ToolChoice.MODE_NAMED, "name": "g", "disable_parallel": True}
    said = conversation(tools=tools("f", "g"), tool_choice=choice)
    body = encoded("cohere_chat", said)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "REQUIRED"
    path = "conversation.tool_choice"
    assert lost("cohere_chat", said) == [("FEATURE_DROPPED", f"{path}.disable_parallel")]
    assert lost("ollama_chat", said) == [("FEATURE_DROPPED", path), ("FEATURE_DROPPED", f"{path}.disable_parallel")]


def test_what_stands_beside_coheres_answer_is_dropped_and_said() -> None:
    content = [{"type": "text", "text": "a"}]
    answer = {"role": "assistant", "tool_plan": "I will", "content": content, "citations": [{}]}
    document = {"message": answer, "finish_reason": "COMPLETE"}
    read, ending = read_whole("cohere_chat", json.dumps(document).encode())
    assert ([part.text for part in read.parts], ending.usage) == (["a"], None)
    assert [degradation.subject for degradation in ending.degradations] == ["answer.tool_plan", "answer.citations"]


def test_ollamas_error_is_a_text_and_an_older_server_gives_no_reason() -> None:
    with pytest.raises(ErrorInAnswer) as raised:
        begun("ollama_chat").event('{"error": "model not found"}')
    assert raised.value.body == {"message": "model not found"}
    _, ending = read_whole("ollama_chat", b'{"message": {"content": "a"}, "done": true}')
    assert (ending.finish_reason, ending.complete) == (chat_pb2.FINISH_REASON_STOP, True)


def test_ollamas_calls_come_whole_and_without_ids() -> None:
    calls = [{"function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "g", "arguments": {}}}]
    document = {"message": {"content": "", "tool_calls": calls}, "done": True, "done_reason": "stop"}
    read, ending = read_whole("ollama_chat", json.dumps(document).encode())
    found = [(part.tool_call.name, part.tool_call.arguments_json) for part in read.parts]
    assert found == [("f", '{"x":1}'), ("g", "{}")]
    assert len({part.tool_call.id for part in read.parts}) == 2
    assert ending.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
