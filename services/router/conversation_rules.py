"""What makes a conversation one that no provider could take, and one that we would not send. Pure.

Each rule raises InvalidRequest with the path of the field and what is wrong with it, never with its content.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest

MOST_MESSAGES, MOST_PARTS, MOST_TOOLS, MOST_STOPS = 10_000, 1_000, 1_024, 16
_MOST_BLOB, _MOST_URI, _MOST_VENDOR_OPTIONS, _MOST_SCHEMA = 16 << 20, 2_048, 64 << 10, 256 << 10
_MOST_OUTPUT = 1_000_000
_MOST_NAME, _MOST_CALL_ID, _MOST_FILE_NAME, _MOST_DESCRIPTION = 64, 256, 256, 64 << 10
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SCHEMA_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PARTS_OF_ROLE = {
    chat_pb2.ROLE_SYSTEM: {"text"},
    chat_pb2.ROLE_DEVELOPER: {"text"},
    chat_pb2.ROLE_USER: {"text", "image", "document"},
    chat_pb2.ROLE_ASSISTANT: {"text", "tool_call", "reasoning", "refusal"},
    chat_pb2.ROLE_TOOL: {"tool_result"},
}


def check(conversation: chat_pb2.Conversation) -> frozenset[str]:
    """The kinds of parts that its messages have. Raises InvalidRequest for the first rule that is broken."""
    kinds = _check_messages(conversation)
    if "tool_call" in kinds or "tool_result" in kinds:
        _check_tool_pairs(conversation)
    _check_tools(conversation)
    _check_response_format(conversation.response_format)
    _check_sampling(conversation.sampling)
    if conversation.vendor_options_json:
        field = "conversation.vendor_options_json"
        _check_object(conversation.vendor_options_json, field, _MOST_VENDOR_OPTIONS)
    return frozenset(kinds)


def _check_messages(conversation: chat_pb2.Conversation) -> set[str]:
    """The kinds of parts that there are. Paths are only put together for what is refused, or is not plain text."""
    messages = conversation.messages
    if not messages:
        _refuse("conversation.messages", "is empty")
    if len(messages) > MOST_MESSAGES:
        _refuse("conversation.messages", f"has more than {MOST_MESSAGES:,} messages")
    kinds: set[str] = set()
    roles: set[int] = set()
    for at, message in enumerate(messages):
        role, parts = message.role, message.parts
        allowed = _PARTS_OF_ROLE.get(role)
        if allowed is None:
            problem = "is not set" if role in chat_pb2.Role.values() else "is not a known role"
            _refuse(f"conversation.messages[{at}].role", problem)
        if not 1 <= len(parts) <= MOST_PARTS:
            problem = f"has more than {MOST_PARTS:,} parts" if parts else "is empty"
            _refuse(f"conversation.messages[{at}].parts", problem)
        if (name := message.name) and len(name.encode()) > _MOST_NAME:
            _refuse(f"conversation.messages[{at}].name", f"is longer than {_MOST_NAME} bytes")
        roles.add(role)
        for place, part in enumerate(parts):
            kind = part.WhichOneof("content") or ""
            if kind != "text" or kind not in allowed:
                _check_part(part, allowed, f"conversation.messages[{at}].parts[{place}]")
            kinds.add(kind)
    if chat_pb2.ROLE_USER not in roles:
        _refuse("conversation.messages", "has no USER message")
    return kinds


def _check_part(part: chat_pb2.Part, allowed: set[str], path: str) -> None:
    kind = part.WhichOneof("content")
    if kind is None:
        _refuse(path, "has no content")
    if kind not in allowed:
        _refuse(f"{path}.{kind}", "does not belong into a message of this role")
    if kind == "image":
        _check_source(part.image, f"{path}.image")
    elif kind == "document":
        _check_source(part.document, f"{path}.document")
        if len(part.document.name.encode()) > _MOST_FILE_NAME:
            _refuse(f"{path}.document.name", f"is longer than {_MOST_FILE_NAME} bytes")
    elif kind == "tool_call":
        if not 1 <= len(part.tool_call.id.encode()) <= _MOST_CALL_ID:
            _refuse(f"{path}.tool_call.id", f"is not 1 to {_MOST_CALL_ID} bytes")
        if not _TOOL_NAME.fullmatch(part.tool_call.name):
            _refuse(f"{path}.tool_call.name", "is not 1 to 128 of [A-Za-z0-9_.-]")
    elif kind == "tool_result":
        if not part.tool_result.parts:
            _refuse(f"{path}.tool_result.parts", "is empty")
        for inner, piece in enumerate(part.tool_result.parts):
            _check_part(piece, {"text", "image", "document"}, f"{path}.tool_result.parts[{inner}]")


def _check_source(blob: chat_pb2.Image | chat_pb2.Document, path: str) -> None:
    match blob.WhichOneof("source"):
        case "data":
            if not blob.data or len(blob.data) > _MOST_BLOB:
                _refuse(f"{path}.data", "is not 1 byte to 16 MiB")
            if not blob.media_type:
                _refuse(f"{path}.media_type", "is not set")
        case "remote_uri":
            if not blob.remote_uri.startswith("https://") or len(blob.remote_uri) > _MOST_URI:
                _refuse(f"{path}.remote_uri", "is not an https address of at most 2,048 bytes")
        case _:
            _refuse(f"{path}.source", "is not set")


def _check_tool_pairs(conversation: chat_pb2.Conversation) -> None:
    """Every call is answered once by the TOOL messages right after it, and every result has its call."""
    open_calls: dict[str, str] = {}
    for at, message in enumerate(conversation.messages):
        path = f"conversation.messages[{at}]"
        if message.role != chat_pb2.ROLE_TOOL and open_calls:
            _refuse(next(iter(open_calls.values())), "is not answered by the TOOL messages that follow")
        for place, part in enumerate(message.parts):
            kind = part.WhichOneof("content")
            if kind == "tool_call":
                if part.tool_call.id in open_calls:
                    _refuse(f"{path}.parts[{place}].tool_call.id", "is used twice")
                open_calls[part.tool_call.id] = f"{path}.parts[{place}].tool_call"
            elif kind == "tool_result" and open_calls.pop(part.tool_result.tool_call_id, None) is None:
                _refuse(f"{path}.parts[{place}].tool_result.tool_call_id", "answers no open call")
    if open_calls:
        _refuse(next(iter(open_calls.values())), "is not answered")


def _check_tools(conversation: chat_pb2.Conversation) -> None:
    if len(conversation.tools) > MOST_TOOLS:
        _refuse("conversation.tools", f"has more than {MOST_TOOLS:,} tools")
    names: set[str] = set()
    for at, tool in enumerate(conversation.tools):
        path = f"conversation.tools[{at}]"
        if not _TOOL_NAME.fullmatch(tool.name):
            _refuse(f"{path}.name", "is not 1 to 128 of [A-Za-z0-9_.-]")
        if tool.name in names:
            _refuse(f"{path}.name", "is used twice")
        names.add(tool.name)
        if len(tool.description.encode()) > _MOST_DESCRIPTION:
            _refuse(f"{path}.description", f"is longer than {_MOST_DESCRIPTION:,} bytes")
        if tool.parameters_json:
            _check_object(tool.parameters_json, f"{path}.parameters_json", _MOST_SCHEMA)
    choice = conversation.tool_choice
    if choice.mode not in chat_pb2.ToolChoice.Mode.values():
        _refuse("conversation.tool_choice.mode", "is not a known mode")
    if choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED and not names:
        _refuse("conversation.tool_choice.mode", "requires a tool, and there is none")
    if choice.mode == chat_pb2.ToolChoice.MODE_NAMED and choice.name not in names:
        _refuse("conversation.tool_choice.name", "is none of the tools")


def _check_response_format(form: chat_pb2.ResponseFormat) -> None:
    if form.kind not in chat_pb2.ResponseFormat.Kind.values():
        _refuse("conversation.response_format.kind", "is not a known kind")
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        if not _SCHEMA_NAME.fullmatch(form.name):
            _refuse("conversation.response_format.name", "is not 1 to 64 of [A-Za-z0-9_-]")
        _check_object(form.schema_json, "conversation.response_format.schema_json", _MOST_SCHEMA)


def _check_sampling(sampling: chat_pb2.Sampling) -> None:
    path = "conversation.sampling"
    if sampling.HasField("temperature") and not _within(sampling.temperature, 0, 2):
        _refuse(f"{path}.temperature", "is not 0 to 2")
    if sampling.HasField("top_p") and not (_within(sampling.top_p, 0, 1) and sampling.top_p > 0):
        _refuse(f"{path}.top_p", "is not above 0 and at most 1")
    if sampling.HasField("max_output_tokens") and not 1 <= sampling.max_output_tokens <= _MOST_OUTPUT:
        _refuse(f"{path}.max_output_tokens", "is not 1 to 1,000,000")
    if len(sampling.stop) > MOST_STOPS:
        _refuse(f"{path}.stop", f"has more than {MOST_STOPS} texts")
    for at, text in enumerate(sampling.stop):
        if not 1 <= len(text.encode()) <= 256:
            _refuse(f"{path}.stop[{at}]", "is not 1 to 256 bytes")
    if sampling.reasoning_effort not in chat_pb2.ReasoningEffort.values():
        _refuse(f"{path}.reasoning_effort", "is not a known effort")


def _check_object(text: str, field: str, most: int) -> None:
    if len(text.encode()) > most:
        _refuse(field, f"is longer than {most:,} bytes")
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        _refuse(field, "is not JSON")
    if not isinstance(value, dict):
        _refuse(field, "is not a JSON object")


def _no_number(word: str) -> NoReturn:
    """NaN and Infinity: Python reads them, JSON has none."""
    raise ValueError(word)


def _within(value: float, least: float, most: float) -> bool:
    return math.isfinite(value) and least <= value <= most


def _refuse(field: str, problem: str) -> NoReturn:
    raise InvalidRequest(field=field, problem=problem)
