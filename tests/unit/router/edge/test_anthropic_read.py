"""Messages requests as conversations of our contract, and what is refused with its place."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import anthropic
import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.router import conversation_rules
from services.router.edge.anthropic_messages import AnthropicMessages, parameters
from services.router.edge.errors import Refused, problem_of

IT = AnthropicMessages()
USER = {"role": "user", "content": "hello"}
CITED: dict[str, Any] = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "d"},
    "citations": {"enabled": True},
}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 2}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "r"}
HERE = {"type": "ephemeral"}


def body(*messages: object, **more: object) -> dict[str, Any]:
    return {"max_tokens": 10, "model": "claude-opus", "messages": list(messages) or [USER], **more}


def conversation(*messages: object, **more: object) -> chat_pb2.Conversation:
    return IT.read(body(*messages, **more)).request.conversation


def test_a_turn_with_results_becomes_results_and_the_rest():
    text = {"type": "text", "text": "and?", "cache_control": HERE}
    said = conversation(
        USER, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT, text]}, system="s"
    )
    assert [message.role for message in said.messages] == [
        chat_pb2.ROLE_SYSTEM,
        chat_pb2.ROLE_USER,
        chat_pb2.ROLE_ASSISTANT,
        chat_pb2.ROLE_TOOL,
        chat_pb2.ROLE_USER,
    ]
    assert said.messages[2].parts[0].tool_call.arguments_json == '{"b":1,"a":2}'
    assert said.messages[3].parts[0].tool_result.tool_call_id == "t1"
    assert said.messages[4].parts[0].cache_breakpoint
    conversation_rules.check(said)


def test_thoughts_keep_their_proofs_and_the_model_that_made_them():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "claude-opus-5-5#abc="},
        {"type": "redacted_thinking", "data": "xyz="},
        {"type": "text", "text": "so"},
    ]
    parts = conversation(USER, {"role": "assistant", "content": blocks}, USER).messages[1].parts
    assert parts[0].reasoning.text == "hm"
    assert parts[0].signature == chat_pb2.Signature(value="abc=", origin_model="claude-opus-5-5")
    assert parts[1].reasoning.redacted
    assert parts[1].signature == chat_pb2.Signature(value="xyz=", origin_model="claude-opus")


def test_blocks_of_a_user_and_of_a_result():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAEC"}}
    page = {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}}
    far = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    failed = {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [image]}
    said = conversation(USER, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [failed, page, far]})
    result = said.messages[2].parts[0].tool_result
    assert result.is_error
    assert result.parts[0].image == chat_pb2.Image(data=b"\0\1\2", media_type="image/png")
    documents = [part.document for part in said.messages[3].parts]
    assert documents[0] == chat_pb2.Document(data="ü".encode(), media_type="text/plain", name="t")
    assert documents[1].remote_uri == "https://example.com/a.pdf"


@pytest.mark.parametrize(
    ("more", "effort"),
    [
        ({"thinking": {"type": "disabled"}}, chat_pb2.REASONING_EFFORT_NONE),
        ({"thinking": {"type": "adaptive"}}, chat_pb2.REASONING_EFFORT_UNSPECIFIED),
        ({"thinking": {"type": "enabled"}}, chat_pb2.REASONING_EFFORT_UNSPECIFIED),
        ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, chat_pb2.REASONING_EFFORT_LOW),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, chat_pb2.REASONING_EFFORT_MEDIUM),
        ({"thinking": {"type": "enabled", "budget_tokens": 30_000}}, chat_pb2.REASONING_EFFORT_HIGH),
        ({"output_config": {"effort": "low"}}, chat_pb2.REASONING_EFFORT_LOW),
    ],
)
def test_budgets_of_thinking_are_efforts(more: dict[str, Any], effort: int):
    assert conversation(**more).sampling.reasoning_effort == effort


def test_tools_choices_and_form():
    tool = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "cache_control": HERE}
    form = {"type": "json_schema", "schema": {"type": "object"}}
    said = conversation(
        tools=[tool],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        output_config={"format": form},
        temperature=0.5,
        top_p=0.9,
        stop_sequences=["x"],
    )
    assert said.tools[0] == chat_pb2.Tool(name="f", description="d", parameters_json='{"type":"object"}')
    assert said.tool_choice.mode == chat_pb2.ToolChoice.MODE_NAMED
    assert said.tool_choice.disable_parallel
    assert said.response_format.kind == chat_pb2.ResponseFormat.KIND_JSON_SCHEMA
    assert said.sampling.max_output_tokens == 10
    conversation_rules.check(said)


@pytest.mark.parametrize(
    ("document", "param"),
    [
        (body(top_k=3), "top_k"),
        (body(max_token=3), "max_token"),
        ({"messages": [USER]}, "max_tokens"),
        (body({"role": "tool", "content": "x"}), "messages[0].role"),
        (body(USER, {"role": "system", "content": [{"type": "image"}]}), "messages[1].content[0].type"),
        (body(context_management={"edits": [{"type": "compact_20260112"}]}), "context_management.edits[0].type"),
        (body(thread={"type": "create"}), "thread"),
        (body({"role": "user", "content": [{"type": "video"}]}), "messages[0].content[0].type"),
        (body({"role": "user"}), "messages[0].content"),
        (body(system=[{"type": "image"}]), "system[0].type"),
        (body(tools=[{"type": "web_search_20250305", "name": "w"}]), "tools[0].type"),
        (body(tools=[{"name": "w"}]), "tools[0].input_schema"),
        (body(tool_choice={"type": "some"}), "tool_choice.type"),
        (body(thinking={"type": "enabled", "budget_tokens": "all"}), "thinking.budget_tokens"),
        (body(thinking={"type": "sometimes"}), "thinking.type"),
        (body(output_config={"x": 1}), "output_config.x"),
        (body({"role": "user", "content": [CITED]}), "messages[0].content[0].citations.enabled"),
        (body({"role": "user", "content": [CITED | {"citations": 5}]}), "messages[0].content[0].citations"),
        (body({"role": "user", "content": [CITED | {"context": "c"}]}), "messages[0].content[0].context"),
        (
            body({"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "?"}}]}),
            "messages[0].content[0].source.media_type",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(document: dict[str, Any], param: str):
    with pytest.raises(Refused) as wrong:
        IT.read(document)
    assert wrong.value.param == param


def test_instructions_may_come_between_the_turns():
    later = {"role": "system", "content": [{"type": "text", "text": "later", "cache_control": HERE}]}
    said = conversation(USER, {"role": "system", "content": "now"}, later, system="first")
    system, user = chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_USER
    assert [message.role for message in said.messages] == [system, user, system, system]
    assert [message.parts[0].text for message in said.messages] == ["first", "hello", "now", "later"]
    assert said.messages[3].parts[0].cache_breakpoint
    conversation_rules.check(said)


# What an agent sends by itself with every request.
@pytest.mark.parametrize(
    "more",
    [
        {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"context_management": {}},
        {"diagnostics": {"previous_message_id": None}},
        {"speed": "fast"},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}},
    ],
)
def test_what_changes_nothing_about_an_answer_is_taken(more: dict[str, Any]):
    assert conversation(**more).messages == conversation().messages


def test_a_thread_is_refused_in_the_words_that_make_a_client_go_on_without():
    with pytest.raises(Refused) as refused:
        IT.read(body(thread={"type": "create"}))
    error: Any = IT.error(problem_of(refused.value, str))["error"]
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def test_what_is_missing_is_not_called_by_another_name():
    with pytest.raises(Refused) as missing:
        IT.read({"messages": [USER]})
    assert missing.value.message == "max_tokens: is missing"


def test_instructions_of_no_blocks_are_none():
    assert IT.read(body(system=[])).request.conversation == IT.read(body()).request.conversation


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (body(temperature=9), "temperature"),
        (body(max_tokens=0), "max_tokens"),
        (body(stop_sequences=["a", ""]), "stop_sequences[1]"),
        (body(USER, {"role": "assistant", "content": [USE]}, system="s"), "messages[1].content[0]"),
        (
            body({"role": "user", "content": [{"type": "text", "text": "x"}, RESULT]}, system="s"),
            "messages[0].content[1].tool_use_id",
        ),
        (
            body(
                USER,
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": [RESULT, {"type": "image", "source": {"type": "url", "url": "http://x"}}]},
            ),
            "messages[2].content[1].source.url",
        ),
        (body({"role": "user", "content": []}), "messages[0].content"),
        (body(tools=[{"name": "not a name", "input_schema": {}}]), "tools[0].name"),
        (body(tool_choice={"type": "any"}), "tool_choice.type"),
    ],
)
def test_what_our_own_rules_refuse_is_named_in_the_callers_terms(document: dict[str, Any], place: str):
    with pytest.raises(InvalidRequest) as wrong:
        conversation_rules.check(IT.read(document).request.conversation)
    assert problem_of(wrong.value, lambda field: IT.place(document, field)).param == place


@pytest.mark.parametrize(
    "create",
    [anthropic.resources.messages.AsyncMessages.create, anthropic.resources.beta.messages.AsyncMessages.create],
)
def test_every_parameter_of_the_official_client_has_its_row(create: Any):
    # It sends `betas` as a header.
    ours = {"self", "extra_headers", "extra_query", "extra_body", "timeout", "betas"}
    named = set(inspect.signature(create).parameters) - ours
    assert named <= parameters.READ | parameters.IGNORED | parameters.REFUSED | {"context_management"}


def test_the_page_names_every_parameter():
    page = (Path(__file__).parents[4] / "docs" / "http.md").read_text()
    names = set(re.findall(r"`([a-z_]+)`", page))
    assert names >= parameters.READ | parameters.IGNORED | parameters.REFUSED
