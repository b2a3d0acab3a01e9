"""The simulator's own token counts: a plain rule that anyone can repeat by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable

from services.simulator.chat_request import ChatRequest, Message, ToolCall

_BYTES_PER_TOKEN = 4
_PER_MESSAGE = 4
_PER_PROMPT = 3
# What a low-detail image costs at OpenAI; an attachment's bytes are not text.
_PER_ATTACHMENT = 85


def count_text(text: str) -> int:
    """Tokens of one text: its UTF-8 bytes over four, rounded up."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def count_prompt(request: ChatRequest) -> int:
    """Tokens of everything that is sent to the model."""
    total = _PER_PROMPT + sum(_count_message(message) for message in request.messages)
    if request.tools_json:
        total += count_text(json.dumps(request.tools_json, separators=(",", ":")))
    return total


def count_calls(calls: Iterable[ToolCall]) -> int:
    """Tokens of tool calls: their names and arguments."""
    return sum(count_text(call.name) + count_text(call.arguments) for call in calls)


def cut_to_tokens(text: str, limit: int) -> str:
    """The longest beginning of a text that counts at most `limit` tokens."""
    head = text.encode()[: limit * _BYTES_PER_TOKEN]
    return head.decode(errors="ignore")


def _count_message(message: Message) -> int:
    texts = sum(count_text(text) for text in message.texts)
    return _PER_MESSAGE + texts + _PER_ATTACHMENT * message.attachments + count_calls(message.tool_calls)
