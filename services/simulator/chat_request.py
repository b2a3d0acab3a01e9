"""The nouns of a chat request, after it has been read and found valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made; `arguments` is JSON text, verbatim."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `attachments` counts its parts that are not text."""

    role: str
    texts: tuple[str, ...] = ()
    attachments: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the caller offers, with the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What the caller asks for.

    `tool_choice` is auto, none or required; `forced_tool` names the one function that must be
    called. `wants_json` with no `schema` means any JSON object.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tools_json: tuple[object, ...] = ()
    tool_choice: str = "auto"
    forced_tool: str | None = None
    is_parallel: bool = True
    wants_json: bool = False
    schema: Mapping[str, object] | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    is_stream: bool = False
    wants_usage: bool = False
