"""Read the messages of a request and refuse an order that no provider accepts."""

from __future__ import annotations

from collections.abc import Mapping

from services.simulator.api_error import invalid
from services.simulator.chat_request import Message, ToolCall

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_ATTACHMENTS = frozenset({"image_url", "input_audio", "file"})
_TEXT_KEYS = {"text": "text", "refusal": "refusal"}


def read_messages(value: object) -> tuple[Message, ...]:
    """The messages, or Refused with the place of the first problem."""
    if not isinstance(value, list):
        raise invalid("Missing required parameter: 'messages' (an array).", "messages")
    if not value:
        raise invalid("[] is too short - 'messages'", "messages", "empty_array")
    messages = tuple(_message(row, f"messages[{n}]") for n, row in enumerate(value))
    _check_order(messages)
    return messages


def _message(row: object, where: str) -> Message:
    if not isinstance(row, dict):
        raise invalid(f"Invalid type for '{where}': expected an object.", where, "invalid_type")
    role = row.get("role")
    if role not in _ROLES:
        raise invalid(f"Invalid value: {role!r} for '{where}.role'.", f"{where}.role")
    calls = _tool_calls(row.get("tool_calls"), where) if role == "assistant" else ()
    texts, attachments = _content(row.get("content"), where)
    if not texts and not attachments and not calls and role != "assistant":
        raise invalid(f"Invalid value for '{where}.content': got null.", f"{where}.content")
    call_id = row.get("tool_call_id")
    if role == "tool" and not isinstance(call_id, str):
        raise invalid(f"Missing parameter '{where}.tool_call_id'.", f"{where}.tool_call_id")
    return Message(role, texts, attachments, calls, call_id if role == "tool" else None)


def _content(value: object, where: str) -> tuple[tuple[str, ...], int]:
    """The texts of a message, and how many other parts it has."""
    if value is None:
        return (), 0
    if isinstance(value, str):
        return (value,), 0
    if not isinstance(value, list) or not value:
        problem = "expected a string or a non-empty array"
        raise invalid(f"Invalid type for '{where}.content': {problem}.", f"{where}.content")
    texts: list[str] = []
    attachments = 0
    for number, part in enumerate(value):
        text = _part_text(part, f"{where}.content[{number}]")
        if text is None:
            attachments += 1
        else:
            texts.append(text)
    return tuple(texts), attachments


def _part_text(part: object, where: str) -> str | None:
    """The text of a part, or None for an image, a sound or a file."""
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        raise invalid(f"Invalid type for '{where}': expected a content part.", where)
    if kind in _ATTACHMENTS:
        if not isinstance(part.get(kind), dict):
            raise invalid(f"Missing required parameter: '{where}.{kind}'.", f"{where}.{kind}")
        return None
    if kind not in _TEXT_KEYS:
        raise invalid(f"Invalid value: {kind!r} for '{where}.type'.", f"{where}.type")
    text = part.get(_TEXT_KEYS[kind])
    if not isinstance(text, str):
        raise invalid(f"Missing required parameter: '{where}.{kind}'.", f"{where}.{kind}")
    return text


def _tool_calls(value: object, where: str) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise invalid(f"'{where}.tool_calls' must be a non-empty array.", f"{where}.tool_calls")
    return tuple(_tool_call(row, f"{where}.tool_calls[{n}]") for n, row in enumerate(value))


def _tool_call(row: object, where: str) -> ToolCall:
    if not isinstance(row, Mapping) or row.get("type", "function") != "function":
        raise invalid(f"Invalid value for '{where}': expected a function call.", where)
    function = row.get("function")
    if not isinstance(function, Mapping):
        raise invalid(f"Missing required parameter: '{where}.function'.", f"{where}.function")
    ident, name, arguments = row.get("id"), function.get("name"), function.get("arguments")
    if not isinstance(ident, str) or not isinstance(name, str) or not isinstance(arguments, str):
        problem = "id, function.name and function.arguments must be strings"
        raise invalid(f"Invalid type for '{where}': {problem}.", where, "invalid_type")
    return ToolCall(ident, name, arguments)


def _check_order(messages: tuple[Message, ...]) -> None:
    """Every tool result follows its call, and every call has its result before the next turn."""
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                raise invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'.",
                    f"messages[{number}].role",
                )
            waiting.discard(message.tool_call_id)
            continue
        _all_answered(waiting, number)
        waiting = {call.id for call in message.tool_calls}
    _all_answered(waiting, len(messages))


def _all_answered(waiting: set[str], number: int) -> None:
    if waiting:
        raise invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(sorted(waiting)),
            f"messages[{number - 1}]",
        )
