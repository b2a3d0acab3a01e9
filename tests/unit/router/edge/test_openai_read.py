"""Chat completion requests as conversations of our contract, and what is refused with its place."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import openai
import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.router import conversation_rules
from services.router.edge.errors import Refused, problem_of
from services.router.edge.openai_chat import OpenAIChat, parameters

IT = OpenAIChat()
USER = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}


def body(*messages: object, **more: object) -> dict[str, Any]:
    return {"messages": list(messages) or [USER], **more}


def conversation(*messages: object, **more: object) -> chat_pb2.Conversation:
    return IT.read(body(*messages, **more)).request.conversation


def refused(document: dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as wrong:
        IT.read(document)
    return wrong.value


def test_messages_keep_their_places_and_roles():
    said = conversation(
        {"role": "system", "content": "s"},
        {"role": "developer", "content": [{"type": "text", "text": "d"}]},
        {"role": "user", "content": "u", "name": "ann"},
        {"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "result"},
    )
    assert [message.role for message in said.messages] == [1, 2, 3, 4, 5]
    assert said.messages[2].name == "ann"
    kinds = [part.WhichOneof("content") for part in said.messages[3].parts]
    assert kinds == ["reasoning", "text", "tool_call"]
    assert said.messages[3].parts[2].tool_call.arguments_json == "{}"
    assert said.messages[4].parts[0].tool_result.parts[0].text == "result"
    conversation_rules.check(said)


def test_pictures_and_files_become_bytes_or_addresses():
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;charset=utf-8;base64,AAEC"}},
        {"type": "file", "file": {"file_data": "AAEC"}},
    ]
    parts = conversation({"role": "user", "content": content}).messages[0].parts
    assert parts[0].image == chat_pb2.Image(data=b"\0\1\2", media_type="image/png", detail="high")
    assert parts[1].image.remote_uri == "https://example.com/x.png"
    assert parts[2].document == chat_pb2.Document(data=b"\0\1\2", media_type="text/plain", name="a.txt")
    assert parts[3].document.media_type == "application/pdf"


def test_tools_keep_the_order_of_their_keys():
    parameters_ = {"type": "object", "properties": {"z": {"type": "number"}, "a": {"minimum": 1.0}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters_, "strict": True}}
    choice = {"type": "function", "function": {"name": "f"}}
    said = conversation(tools=[tool], tool_choice=choice, parallel_tool_calls=False)
    assert said.tools[0].parameters_json == json.dumps(parameters_, separators=(",", ":"))
    assert said.tools[0].strict
    assert said.tool_choice == chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="f", disable_parallel=True)


def test_sampling_and_form():
    schema = {"name": "s", "schema": {"type": "object"}, "strict": True}
    said = conversation(
        temperature=0,
        top_p=0.5,
        seed=3,
        stop="end",
        max_tokens=9,
        reasoning_effort="minimal",
        response_format={"type": "json_schema", "json_schema": schema},
        presence_penalty=0.5,
        frequency_penalty=0,
    )
    assert said.sampling == chat_pb2.Sampling(
        temperature=0,
        top_p=0.5,
        seed=3,
        stop=["end"],
        max_output_tokens=9,
        reasoning_effort=chat_pb2.REASONING_EFFORT_LOW,
    )
    assert said.response_format.schema_json == '{"type":"object"}'
    assert said.vendor_options_json == '{"presence_penalty":0.5}'


@pytest.mark.parametrize(("said", "sent"), [("low", '{"verbosity":"low"}'), ("medium", ""), (None, "")])
def test_a_verbosity_is_the_vendors_own_unless_it_is_the_usual_one(said: str | None, sent: str):
    assert conversation(verbosity=said).vendor_options_json == sent


@pytest.mark.parametrize(
    ("model", "asked", "policy"),
    [(None, "", ""), ("auto", "auto", ""), ("claude-opus", "claude-opus", ""), ("policy:cheap", "", "cheap")],
)
def test_a_model_is_a_name_or_a_policy(model: str | None, asked: str, policy: str):
    request = IT.read(body(model=model)).request
    assert (request.model, request.options.policy) == (asked, policy)


@pytest.mark.parametrize(
    ("document", "param", "code"),
    [
        (body(n=2), "n", "unsupported_parameter"),
        (body(logprobs=True), "logprobs", "unsupported_parameter"),
        (body(functions=[{}]), "functions", "unsupported_parameter"),
        (body(tempereture=1), "tempereture", "unknown_parameter"),
        (body(temperature="hot"), "temperature", "invalid_type"),
        (body(stream_options={}), "stream_options", "invalid_value"),
        (body(stream=True, stream_options={"x": 1}), "stream_options.x", "unknown_parameter"),
        (body(max_tokens=1, max_completion_tokens=2), "max_tokens", "invalid_value"),
        (body(seed=1 << 63), "seed", "invalid_type"),
        (body(stop=["a", 1]), "stop[1]", "invalid_type"),
        (body(omnisphere={"x": 1}), "omnisphere.x", "unknown_parameter"),
        (body(presence_penalty=3), "presence_penalty", "invalid_value"),
        (body(verbosity="loud"), "verbosity", "invalid_value"),
        (body(response_format={"type": "xml"}), "response_format.type", "invalid_value"),
        (body(tools=[{"type": "custom"}]), "tools[0].type", "invalid_value"),
        (body(tool_choice="any"), "tool_choice", "invalid_value"),
        ({}, "messages", "invalid_type"),
        ({"messages": ["x"]}, "messages[0]", "invalid_type"),
        (body({"role": "tool", "content": "x"}), "messages[0].tool_call_id", "invalid_type"),
        (
            body({"role": "user", "content": [{"type": "input_audio"}]}),
            "messages[0].content[0].type",
            "unsupported_parameter",
        ),
        (body({"role": "user", "content": [{"type": "smell"}]}), "messages[0].content[0].type", "invalid_value"),
        (
            body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}),
            "messages[0].content[0].image_url.url",
            "invalid_value",
        ),
        (
            body({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}),
            "messages[0].content[0].file.file_id",
            "invalid_value",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(document: dict[str, Any], param: str, code: str):
    wrong = refused(document)
    assert (wrong.param, wrong.code, wrong.status) == (param, code, 400)
    assert wrong.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    "harmless",
    [{"n": 1}, {"logprobs": False}, {"user": "u"}, {"store": True}, {"logit_bias": {}}, {"audio": None}],
)
def test_what_asks_for_nothing_else_is_taken(harmless: dict[str, Any]):
    assert IT.read(body(**harmless)).request.conversation.messages


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (body(temperature=9), "temperature"),
        (body(max_completion_tokens=0), "max_completion_tokens"),
        (body(stop=["a", ""]), "stop[1]"),
        (body(USER, {"role": "assistant", "refusal": "no", "tool_calls": [CALL]}), "messages[1].tool_calls[0]"),
        (
            body(USER, {"role": "assistant", "content": "x", "reasoning_content": "y", "tool_calls": [CALL, CALL]}),
            "messages[1].tool_calls[1].id",
        ),
        (body(USER, {"role": "tool", "tool_call_id": "c9", "content": "x"}), "messages[1].tool_call_id"),
        (
            body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            body({"role": "user", "content": [{"type": "file", "file": {"filename": "n" * 300, "file_data": "AA=="}}]}),
            "messages[0].content[0].file.filename",
        ),
        (body({"role": "user", "content": []}), "messages[0].content"),
        (body({"role": "system", "content": "x"}), "messages"),
        (body(tools=[{"type": "function", "function": {"name": "not a name"}}]), "tools[0].function.name"),
        (body(tool_choice="required"), "tool_choice"),
        (
            body(response_format={"type": "json_schema", "json_schema": {"name": "", "schema": {}}}),
            "response_format.json_schema.name",
        ),
    ],
)
def test_what_our_own_rules_refuse_is_named_in_the_callers_terms(document: dict[str, Any], place: str):
    with pytest.raises(InvalidRequest) as wrong:
        conversation_rules.check(IT.read(document).request.conversation)
    problem = problem_of(wrong.value, lambda field: IT.place(document, field))
    assert problem.param == place
    assert problem.message.startswith(f"{place}: ")


def test_fields_beside_the_conversation_are_named_by_their_headers():
    assert IT.place({}, "options.task_hint") == "x-omnisphere-task"
    assert IT.place({}, "options.cache.ttl") == "x-omnisphere-cache-ttl"
    assert IT.place({}, "model") == "model"


def test_every_parameter_of_the_official_client_has_its_row():
    create = openai.resources.chat.completions.AsyncCompletions.create
    ours = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
    named = set(inspect.signature(create).parameters) - ours
    assert named <= parameters.READ | parameters.IGNORED | set(parameters.REFUSED)


def test_the_page_names_every_parameter():
    page = (Path(__file__).parents[4] / "docs" / "http.md").read_text()
    names = set(re.findall(r"`([a-z_]+)`", page))
    assert parameters.READ | parameters.IGNORED | set(parameters.REFUSED) <= names
