"""Whatever stands in a document, it is read or refused with a place: nothing else is ever raised."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.errors import InvalidRequest
from services.router import conversation_rules
from services.router.edge import embeddings, values
from services.router.edge.anthropic_messages import AnthropicMessages
from services.router.edge.dialect import Dialect
from services.router.edge.errors import Refused, problem_of
from services.router.edge.openai_chat import OpenAIChat
from services.router.edge.openai_responses import OpenAIResponses

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    ["text", "image_url", "message", "reasoning", "tool", "user", "assistant", "tool_result", "function", "auto", "url"]
)
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | WORDS, inner, max_size=3),
    max_leaves=6,
)
TOOL_USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {
            "role": "user",
            "name": "n",
            "content": [{"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}}],
        },
        {
            "role": "assistant",
            "content": "a",
            "reasoning_content": "r",
            "refusal": "no",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "t"}]},
        {"role": "user", "content": [{"type": "file", "file": {"filename": "f", "file_data": "AA=="}}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["x"],
    "seed": 1,
    "temperature": 1,
    "max_tokens": 5,
    "reasoning_effort": "low",
    "presence_penalty": 1,
    "n": 1,
    "omnisphere": {"decision": True},
}
MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s", "cache_control": {}}],
    "messages": [
        {
            "role": "user",
            "content": [{"type": "image", "source": {"type": "base64", "media_type": "i", "data": "AA=="}}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "h", "signature": "m#s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "t"},
                TOOL_USE,
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "r"}],
                    "is_error": True,
                },
                {"type": "document", "title": "t", "source": {"type": "url", "url": "https://x"}},
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {}}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "output_config": {"format": {"type": "json_schema", "schema": {}}, "effort": "low"},
    "stop_sequences": ["x"],
    "top_p": 0.5,
}

RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "i",
    "input": [
        {"role": "developer", "content": "d"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {}},
                {"type": "input_image", "image_url": "https://x", "detail": "low"},
                {"type": "input_file", "filename": "f", "file_data": "AA=="},
                {"type": "input_file", "file_url": "https://x"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "h"}],
            "content": [{"type": "reasoning_text", "text": "h"}],
            "encrypted_content": "m#thoughts#s",
        },
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
    ],
    "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": True}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "parallel_tool_calls": False,
    "text": {"format": {"type": "json_schema", "name": "s", "schema": {}, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto", "context": "auto"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "stream": True,
    "stream_options": {"include_obfuscation": True},
    "temperature": 1,
    "max_output_tokens": 5,
    "user": "u",
    "background": False,
    "truncation": "auto",
    "omnisphere": {"decision": True},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        found += places(child, (*path, key))
    return found


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with another value in one place."""
    copied = copy.deepcopy(document)
    holder: Any = copied
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return copied


def refusal(read: Callable[[], object]) -> Refused | None:
    """How it is refused; None: it is not."""
    try:
        read()
    except Refused as wrong:
        return wrong
    return None


def check(dialect: Dialect, document: dict[str, Any]) -> None:
    try:
        conversation_rules.check(dialect.read(document).request.conversation)
    except (Refused, InvalidRequest) as wrong:
        problem = problem_of(wrong, lambda field: dialect.place(document, field))
        assert problem.status == 400
        assert problem.param
        assert not problem.param.startswith(("conversation.", "options."))


@pytest.mark.parametrize(
    ("dialect", "document"), [(OpenAIChat(), CHAT), (AnthropicMessages(), MESSAGES), (OpenAIResponses(), RESPONSES)]
)
def test_the_documents_as_they_stand_are_read(dialect: Dialect, document: dict[str, Any]):
    conversation_rules.check(dialect.read(document).request.conversation)


@given(st.sampled_from(places(CHAT)), JSON)
def test_any_value_anywhere_in_a_chat_completion(path: tuple[Any, ...], value: Any):
    check(OpenAIChat(), changed(CHAT, path, value))


@given(st.sampled_from(places(MESSAGES)), JSON)
def test_any_value_anywhere_in_a_messages_request(path: tuple[Any, ...], value: Any):
    check(AnthropicMessages(), changed(MESSAGES, path, value))


@given(st.sampled_from(places(RESPONSES)), JSON)
def test_any_value_anywhere_in_a_responses_request(path: tuple[Any, ...], value: Any):
    check(OpenAIResponses(), changed(RESPONSES, path, value))


@given(JSON, JSON, JSON)
def test_any_value_anywhere_in_a_request_for_embeddings(model: Any, texts: Any, form: Any):
    wrong = refusal(lambda: embeddings.read({"model": model, "input": texts, "encoding_format": form}))
    assert wrong is None or wrong.param


@given(st.binary(max_size=64))
def test_any_bytes_are_an_object_or_refused(body: bytes):
    wrong = refusal(lambda: values.document(body))
    assert wrong is None or wrong.code == "invalid_json"


@pytest.mark.parametrize("place", ["parameters", "anything"])
def test_what_a_response_repeats_can_be_written_or_is_refused(place: str):
    for levels in range(240, 260):
        tool = {"type": "function", "name": "f", place: orjson.loads('{"a":' * levels + "1" + "}" * levels)}
        try:
            reading = OpenAIResponses().read({"input": "x", "tools": [tool]})
        except Refused as wrong:
            assert wrong.message.endswith("is nested too deeply")  # noqa: PT017 - the deepest ones are
            continue
        assert OpenAIResponses().events(reading, "r1").opening("m-1", from_cache=False)


@pytest.mark.parametrize("levels", [300, 2_000])
def test_what_is_nested_too_deeply_is_refused(levels: int):
    schema = '{"a":' * levels + "1" + "}" * levels
    tool = f'{{"type": "function", "function": {{"name": "f", "parameters": {schema}}}}}'
    body = f'{{"messages": [{{"role": "user", "content": "x"}}], "tools": [{tool}]}}'.encode()
    with pytest.raises(Refused):
        OpenAIChat().read(values.document(body))
    with pytest.raises(Refused):
        AnthropicMessages().read(
            {**MESSAGES, "tools": [{"name": "f", "input_schema": orjson.loads(schema)}]}
            if levels < 1_000
            else values.document(body)
        )
