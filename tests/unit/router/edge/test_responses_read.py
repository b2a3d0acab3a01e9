"""Responses requests as conversations of our contract, and what is refused with its place."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from openai.resources.responses import AsyncResponses
from openai.types.responses import tool_param

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.router import conversation_rules
from services.router.edge.errors import Refused, problem_of
from services.router.edge.openai_responses import OpenAIResponses, parameters, tools

IT = OpenAIResponses()
USER = {"role": "user", "content": "hello"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "result"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
PDF = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAEC"}


def body(*items: object, **more: object) -> dict[str, Any]:
    return {"input": list(items) or "hello", **more}


def conversation(*items: object, **more: object) -> chat_pb2.Conversation:
    return IT.read(body(*items, **more)).request.conversation


def user(*content: object) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content)}


def test_a_text_is_a_question_and_instructions_come_first():
    said = conversation(instructions="be brief")
    assert [(message.role, message.parts[0].text) for message in said.messages] == [
        (chat_pb2.ROLE_SYSTEM, "be brief"),
        (chat_pb2.ROLE_USER, "hello"),
    ]
    conversation_rules.check(said)


def test_what_the_model_did_in_a_row_is_one_message_and_so_are_the_results():
    said = conversation(
        {"role": "developer", "content": "d"},
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        CALL,
        CALL | {"call_id": "c2", "arguments": '{"a":1}'},
        OUTPUT | {"call_id": "c2"},
        OUTPUT,
        {"role": "assistant", "content": "done"},
        USER,
    )
    assert [message.role for message in said.messages] == [2, 3, 4, 5, 4, 3]
    kinds = [part.WhichOneof("content") for part in said.messages[2].parts]
    assert kinds == ["reasoning", "text", "tool_call", "tool_call"]
    assert [part.tool_call.arguments_json for part in said.messages[2].parts[2:]] == ["{}", '{"a":1}']
    assert [part.tool_result.tool_call_id for part in said.messages[3].parts] == ["c2", "c1"]
    conversation_rules.check(said)


def test_pictures_and_files_become_bytes_or_addresses_also_in_results():
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAEC", "detail": "high"}
    far = {"type": "input_image", "image_url": "https://example.com/x.png"}
    link = {"type": "input_file", "file_url": "https://example.com/a.pdf"}
    marked = {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}}
    said = conversation(user(image, far, PDF, link, marked), CALL, OUTPUT | {"output": [image, PDF]})
    parts = said.messages[0].parts
    assert parts[0].image == chat_pb2.Image(data=b"\0\1\2", media_type="image/png", detail="high")
    assert parts[1].image.remote_uri == "https://example.com/x.png"
    assert parts[2].document == chat_pb2.Document(data=b"\0\1\2", media_type="application/pdf", name="a.pdf")
    assert parts[3].document.remote_uri == "https://example.com/a.pdf"
    assert parts[4].cache_breakpoint
    result = said.messages[2].parts[0].tool_result
    assert [piece.WhichOneof("content") for piece in result.parts] == ["image", "document"]


@pytest.mark.parametrize(
    ("value", "thoughts", "origin", "proof"),
    [
        ("m-1#thoughts#a#b=", "hm", "m-1", "a#b="),
        ("m-1#hidden#abc", "", "m-1", "abc"),
        ("gAAAA=", "hm", "asked", '{"id":"rs_1","encrypted_content":"gAAAA="}'),
    ],
)
def test_thoughts_keep_their_proofs_and_the_model_that_made_them(value: str, thoughts: str, origin: str, proof: str):
    summary = [{"type": "summary_text", "text": thoughts}] if thoughts else []
    item = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": value}
    (part,) = conversation(USER, item, model="asked").messages[1].parts
    assert part.reasoning == chat_pb2.Reasoning(text=thoughts, redacted="hidden" in value)
    assert part.signature == chat_pb2.Signature(value=proof, origin_model=origin)


def test_a_proof_of_a_call_comes_behind_it_and_behind_nothing_else():
    item = {"type": "reasoning", "summary": [], "encrypted_content": "m-1#call#p"}
    said = conversation(USER, CALL, item, OUTPUT, {"role": "assistant", "content": "a"}, item, USER)
    assert said.messages[1].parts[0].signature == chat_pb2.Signature(value="p", origin_model="m-1")
    assert not said.messages[3].parts[0].HasField("signature")
    conversation_rules.check(said)


def test_thoughts_of_which_nothing_is_left_and_messages_without_words_are_left_out():
    empty = {"type": "message", "role": "assistant", "content": []}
    reference = {"type": "item_reference", "id": "rs_2"}
    said = conversation(USER, {"type": "reasoning", "id": "rs_1", "summary": []}, reference, empty, USER)
    assert [message.role for message in said.messages] == [chat_pb2.ROLE_USER] * 2


def test_tools_keep_the_order_of_their_keys_and_are_strict_where_that_is_said():
    schema = {"type": "object", "properties": {"z": {"type": "number"}, "a": {"minimum": 1.0}}}
    said = conversation(
        tools=[TOOL | {"parameters": schema, "strict": True}, TOOL | {"name": "g"}],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
    )
    assert said.tools[0].parameters_json == json.dumps(schema, separators=(",", ":"))
    assert [tool.strict for tool in said.tools] == [True, False]
    assert said.tool_choice == chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="f", disable_parallel=True)


def test_of_the_tools_those_are_offered_that_are_allowed():
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    document = body(tools=[TOOL, TOOL | {"name": "g"}], tool_choice=allowed)
    said = IT.read(document).request.conversation
    assert [tool.name for tool in said.tools] == ["g"]
    assert said.tool_choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED
    assert IT.place(document, "conversation.tools[0].parameters_json") == "tools[1].parameters"


def test_sampling_form_and_effort():
    form = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
    said = conversation(
        temperature=0,
        top_p=0.5,
        max_output_tokens=9,
        reasoning={"effort": "max", "summary": "auto", "context": "auto"},
        text={"format": form, "verbosity": "low"},
    )
    assert said.sampling == chat_pb2.Sampling(
        temperature=0, top_p=0.5, max_output_tokens=9, reasoning_effort=chat_pb2.REASONING_EFFORT_HIGH
    )
    assert said.response_format == chat_pb2.ResponseFormat(
        kind=chat_pb2.ResponseFormat.KIND_JSON_SCHEMA, name="s", schema_json='{"type":"object"}', strict=True
    )
    assert said.vendor_options_json == '{"reasoning":{"summary":"auto"},"text":{"verbosity":"low"}}'
    assert not conversation(text={"verbosity": "medium"}).vendor_options_json
    plain = conversation(text={"format": {"type": "json_object"}}).response_format
    assert plain.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT


@pytest.mark.parametrize(
    ("document", "param", "code"),
    [
        (body(background=True), "background", "unsupported_parameter"),
        (body(previous_response_id="resp_1"), "previous_response_id", "unsupported_parameter"),
        (body(conversation={"id": "conv_1"}), "conversation", "unsupported_parameter"),
        (body(prompt={"id": "pmpt_1"}), "prompt", "unsupported_parameter"),
        (body(top_logprobs=2), "top_logprobs", "unsupported_parameter"),
        (body(include=["message.output_text.logprobs"]), "include[0]", "unsupported_parameter"),
        (body(include=["x"]), "include[0]", "invalid_value"),
        (body(tempereture=1), "tempereture", "unknown_parameter"),
        (body(messages=[]), "messages", "unknown_parameter"),
        (body(temperature="hot"), "temperature", "invalid_type"),
        (body(metadata={"a": 1}), "metadata.a", "invalid_type"),
        (body(truncation="middle"), "truncation", "invalid_value"),
        (body(stream_options={}), "stream_options", "invalid_value"),
        (
            body(stream=True, stream_options={"include_usage": True}),
            "stream_options.include_usage",
            "unknown_parameter",
        ),
        (body(reasoning={"effort": "some"}), "reasoning.effort", "invalid_value"),
        (body(reasoning={"mode": "pro"}), "reasoning.mode", "unsupported_parameter"),
        (body(reasoning={"tokens": 1}), "reasoning.tokens", "unknown_parameter"),
        (body(text={"verbosity": "wordy"}), "text.verbosity", "invalid_value"),
        (body(text={"format": {"type": "xml"}}), "text.format.type", "invalid_value"),
        (body(tools=[{"type": "web_search"}]), "tools[0].type", "unsupported_parameter"),
        (body(tools=[{"type": "smell"}]), "tools[0].type", "invalid_value"),
        (body(tool_choice={"type": "file_search"}), "tool_choice", "invalid_value"),
        (
            body(tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
            "tool_choice.tools[0].name",
            "invalid_value",
        ),
        ({}, "input", "invalid_type"),
        (body(instructions=[]), "instructions", "invalid_type"),
        (body("x"), "input[0]", "invalid_type"),
        (body({"role": "robot", "content": "x"}), "input[0].role", "invalid_value"),
        (body({"type": "item_reference", "id": "msg_1"}), "input[0].type", "unsupported_parameter"),
        (body({"type": "web_search_call", "id": "ws_1"}), "input[0].type", "invalid_value"),
        (body(OUTPUT | {"call_id": None}), "input[0].call_id", "invalid_type"),
        (body(user({"type": "input_audio"})), "input[0].content[0].type", "unsupported_parameter"),
        (body(user({"type": "input_image", "image_url": "data:x"})), "input[0].content[0].image_url", "invalid_value"),
        (body(user({"type": "input_image", "file_id": "f"})), "input[0].content[0].file_id", "invalid_value"),
        (body(user({"type": "input_file", "file_id": "f"})), "input[0].content[0].file_id", "invalid_value"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(document: dict[str, Any], param: str, code: str):
    with pytest.raises(Refused) as wrong:
        IT.read(document)
    assert (wrong.value.param, wrong.value.code, wrong.value.status) == (param, code, 400)
    assert wrong.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize("name", sorted(parameters.REFUSED))
def test_what_is_refused_says_what_to_do_instead(name: str):
    with pytest.raises(Refused, match="unsupported_parameter") as wrong:
        IT.read(body(**{name: "x"}))
    assert wrong.value.message == f"{name}: is not supported: {parameters.REFUSED[name][1]}"


@pytest.mark.parametrize(
    "harmless",
    [
        {"store": True},
        {"background": False},
        {"previous_response_id": None},
        {"include": ["reasoning.encrypted_content", "web_search_call.action.sources"]},
        {"service_tier": "auto"},
        {"top_logprobs": 0},
        {"truncation": "disabled"},
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {"reasoning": {"effort": None, "summary": None}},
        {"text": {"format": {"type": "text"}}},
    ],
)
def test_what_asks_for_nothing_else_is_taken(harmless: dict[str, Any]):
    assert IT.read(body(**harmless)).request.conversation.messages


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (body(temperature=9), "temperature"),
        (body(max_output_tokens=0), "max_output_tokens"),
        (body(USER, CALL), "input[1]"),
        (body(USER, CALL, CALL), "input[2].call_id"),
        (body(USER, OUTPUT), "input[1].call_id"),
        (body(USER, CALL | {"name": "not a name"}), "input[1].name"),
        (body(user({"type": "input_image", "image_url": "http://x"})), "input[0].content[0].image_url"),
        (body(user(PDF | {"filename": "n" * 300})), "input[0].content[0].filename"),
        (body(user({"type": "refusal", "refusal": "no"})), "input[0].content[0].refusal"),
        (body(user()), "input[0].content"),
        (
            body(USER, CALL, OUTPUT | {"output": [{"type": "input_image", "image_url": "http://x"}]}),
            "input[2].output[0].image_url",
        ),
        (body(USER, CALL, OUTPUT, {"role": "system", "content": [PDF]}), "input[3].content[0].file_data"),
        ({"input": []}, "input"),
        (body({"role": "system", "content": "x"}), "input"),
        (body(tools=[TOOL | {"name": "not a name"}]), "tools[0].name"),
        (body(tool_choice="required"), "tool_choice"),
        (body(tools=[TOOL], tool_choice={"type": "function", "name": "g"}), "tool_choice.name"),
        (body(text={"format": {"type": "json_schema", "name": "", "schema": {}}}), "text.format.name"),
    ],
)
def test_what_our_own_rules_refuse_is_named_in_the_callers_terms(document: dict[str, Any], place: str):
    with pytest.raises(InvalidRequest) as wrong:
        conversation_rules.check(IT.read(document).request.conversation)
    problem = problem_of(wrong.value, lambda field: IT.place(document, field))
    assert problem.param == place
    assert problem.message.startswith(f"{place}: ")


def test_what_the_answer_repeats_is_what_was_said_or_what_happened():
    document = body(instructions="i", tools=[TOOL], metadata={"a": "b"}, store=True, user="u")
    echo = json.loads(orjson.dumps(IT.read(document).echo))
    assert (echo["instructions"], echo["metadata"], echo["user"]) == ("i", {"a": "b"}, "u")
    assert echo["tools"] == [TOOL | {"description": None, "strict": False}]
    assert (echo["store"], echo["background"], echo["parallel_tool_calls"]) == (False, False, True)
    assert (echo["tool_choice"], echo["text"]["format"], echo["temperature"]) == ("auto", {"type": "text"}, None)


def test_every_parameter_of_the_official_client_has_its_row():
    create = AsyncResponses.create
    ours = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
    named = set(inspect.signature(create).parameters) - ours
    assert named <= parameters.READ | parameters.IGNORED | set(parameters.REFUSED)


def test_every_kind_of_tool_of_the_official_client_is_known_by_name():
    def kinds(hint: Any) -> set[str]:
        inner = [kinds(one) for one in get_args(hint)]
        fields = getattr(hint, "__annotations__", {})
        found = re.findall(r"'(\w+)'", str(fields.get("type", "")).replace('"', "'"))
        return set(found).union(*inner)

    assert kinds(tool_param.ToolParam) - {"function"} <= tools.OTHER_KINDS


def test_the_page_names_every_parameter():
    page = (Path(__file__).parents[4] / "docs" / "http.md").read_text()
    names = set(re.findall(r"`([a-z_]+)`", page))
    assert parameters.READ | parameters.IGNORED | set(parameters.REFUSED) <= names
