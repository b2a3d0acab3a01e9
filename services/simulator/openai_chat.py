"""Write a reply as OpenAI does: one JSON object, or a list of server-sent events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.simulator.answer import Reply
from services.simulator.chat_request import ToolCall
from services.simulator.tokens import count_calls, count_text

DONE = b"data: [DONE]\n\n"

_FINGERPRINT = "fp_simulated"
_ARGUMENT_PIECE = 12
_LONGEST_WORD = 24
_WORDS_PER_PIECE = (1, 3, 2)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One reply with what its envelope needs."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    reply: Reply
    wants_usage: bool = False

    @property
    def output_tokens(self) -> int:
        """Tokens of the whole reply."""
        return count_text(self.reply.text) + count_calls(self.reply.tool_calls)


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event, and the output text that it carries."""

    data: bytes
    output: str = ""


def completion(exchange: Exchange) -> dict[str, object]:
    """The body of an answer that is not streamed."""
    reply = exchange.reply
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if reply.tool_calls else reply.text,
        "refusal": None,
    }
    if reply.tool_calls:
        message["tool_calls"] = [_whole_call(call) for call in reply.tool_calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    return {
        "id": exchange.id,
        "object": "chat.completion",
        "created": exchange.created,
        "model": exchange.model,
        "choices": [choice],
        "usage": usage(exchange),
        "system_fingerprint": _FINGERPRINT,
    }


def usage(exchange: Exchange) -> dict[str, object]:
    """OpenAI's usage object; nothing is ever cached or reasoned."""
    return {
        "prompt_tokens": exchange.prompt_tokens,
        "completion_tokens": exchange.output_tokens,
        "total_tokens": exchange.prompt_tokens + exchange.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def opening_events(exchange: Exchange) -> list[Event]:
    """The role chunk and every chunk with content, in order."""
    calls = exchange.reply.tool_calls
    role: dict[str, object] = {"role": "assistant", "content": None if calls else "", "refusal": None}
    events = [Event(_chunk(exchange, role))]
    events += [Event(_chunk(exchange, {"content": piece}), piece) for piece in pieces(exchange.reply.text)]
    for index, call in enumerate(calls):
        for fragment, output in _call_fragments(index, call):
            events.append(Event(_chunk(exchange, {"tool_calls": [fragment]}), output))
    return events


def finish_event(exchange: Exchange) -> Event:
    """The chunk that says why the reply ended."""
    return Event(_chunk(exchange, {}, finish=exchange.reply.finish))


def closing_events(exchange: Exchange) -> list[Event]:
    """What follows the finish chunk: usage when it was asked for, and the end mark."""
    events = [Event(DONE)]
    if exchange.wants_usage:
        envelope = _envelope(exchange) | {"choices": [], "usage": usage(exchange)}
        events.insert(0, Event(sse(envelope)))
    return events


def sse(document: object) -> bytes:
    """A JSON document as one server-sent event."""
    return b"data: " + compact(document) + b"\n\n"


def compact(document: object) -> bytes:
    """A JSON document without white space, as UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of one to three words; joined they are the text again."""
    words = re.findall(rf"\s*\S{{1,{_LONGEST_WORD}}}|\s+$", text)
    place = turn = 0
    while place < len(words):
        size = _WORDS_PER_PIECE[turn % len(_WORDS_PER_PIECE)]
        yield "".join(words[place : place + size])
        place += size
        turn += 1


def _chunk(exchange: Exchange, delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    document = _envelope(exchange) | {"choices": [choice]}
    if exchange.wants_usage:
        document["usage"] = None
    return sse(document)


def _envelope(exchange: Exchange) -> dict[str, object]:
    return {
        "id": exchange.id,
        "object": "chat.completion.chunk",
        "created": exchange.created,
        "model": exchange.model,
        "system_fingerprint": _FINGERPRINT,
    }


def _whole_call(call: ToolCall) -> dict[str, object]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _call_fragments(index: int, call: ToolCall) -> Iterator[tuple[dict[str, object], str]]:
    """The deltas of one tool call: who is called first, then the arguments bit by bit."""
    first = {"name": call.name, "arguments": ""}
    yield {"index": index, "id": call.id, "type": "function", "function": first}, call.name
    for start in range(0, len(call.arguments), _ARGUMENT_PIECE):
        part = call.arguments[start : start + _ARGUMENT_PIECE]
        yield {"index": index, "function": {"arguments": part}}, part
