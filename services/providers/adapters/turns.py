"""What writing a conversation is the same for in several wire formats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters.json_text import Json, parsed
from services.providers.adapters.lost import Lost

INSTRUCTIONS = (chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER)
EFFORTS = {
    chat_pb2.REASONING_EFFORT_NONE: "none",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}
# The schema of a tool without arguments, for formats that want one.
NO_ARGUMENTS: Json = {"type": "object", "properties": {}}


def messages(conversation: chat_pb2.Conversation) -> Iterator[tuple[str, chat_pb2.Message]]:
    """Each message with its path."""
    for at, message in enumerate(conversation.messages):
        yield f"conversation.messages[{at}]", message


def parts(path: str, message: chat_pb2.Message) -> Iterator[tuple[str, chat_pb2.Part]]:
    """Each part of a message with its path."""
    for place, part in enumerate(message.parts):
        yield f"{path}.parts[{place}]", part


def instructions(conversation: chat_pb2.Conversation, lost: Lost) -> list[chat_pb2.Part]:
    """The texts of all system and developer messages, for formats that have one place for them, outside the turns.

    One that stood between the turns loses its place, which is said.
    """
    found: list[chat_pb2.Part] = []
    begun = False
    for path, message in messages(conversation):
        if message.role not in INSTRUCTIONS:
            begun = True
            continue
        if begun:
            lost.feature(f"{path}.role")
        for inner, part in parts(path, message):
            if part.HasField("signature"):
                lost.signature(f"{inner}.signature")
            if part.WhichOneof("content") != "text":
                lost.content(inner, part)
            elif part.text:
                found.append(part)
    return found


def arguments_object(call: chat_pb2.ToolCall, lost: Lost, path: str) -> Any:  # noqa: ANN401 - JSON
    """A call's arguments for formats that want an object: what is none goes as raw text inside one, which is said."""
    text = call.arguments_json.strip() or "{}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return parsed(text)
    lost.feature(f"{path}.tool_call.arguments_json")
    return {"raw_arguments": call.arguments_json}


def result_text(result: chat_pb2.ToolResult, lost: Lost, path: str) -> str:
    """A tool's result for formats that have room for text alone."""
    for place, piece in enumerate(result.parts):
        if piece.WhichOneof("content") != "text":
            lost.content(f"{path}.tool_result.parts[{place}]", piece)
    text = "".join(piece.text for piece in result.parts)
    return f"Error: {text}" if result.is_error else text


def effort_word(sampling: chat_pb2.Sampling, quirks: frozenset[str]) -> str:
    """OpenAI's word for an effort; empty: none is asked for. Some of its models know no "none"."""
    word = EFFORTS.get(sampling.reasoning_effort, "")
    return "minimal" if word == "none" and "minimal_effort" in quirks else word


def function_tool(tool: chat_pb2.Tool) -> Json:
    """A tool as Chat Completions, Cohere and Ollama describe it."""
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = schema(tool.parameters_json)
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def drawn(sampling: chat_pb2.Sampling, names: Mapping[str, str]) -> Json:
    """The settings that are set, under the names that a format has for them."""
    return {names[field.name]: value for field, value in sampling.ListFields() if field.name in names}


def schema(text: str) -> Any:  # noqa: ANN401 - JSON
    """A schema of the contract, which is valid JSON. Numbers keep their form, keys their order."""
    return json.loads(text)
