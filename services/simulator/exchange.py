"""One reply with what its envelope needs, and the pieces that any dialect cuts it into."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.simulator.answer import Reply
from services.simulator.tokens import count_calls, count_text

_ARGUMENT_PIECE = 12
_LONGEST_WORD = 24
_WORDS_PER_PIECE = (1, 3, 2)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One reply. `id` has no prefix: every dialect has its own."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    reply: Reply
    wants_usage: bool = False

    @property
    def output_tokens(self) -> int:
        """Tokens of the whole reply."""
        if self.reply.tokens is not None:
            return self.reply.tokens
        return count_text(self.reply.text) + count_calls(self.reply.tool_calls)


@dataclass(frozen=True, slots=True)
class Event:
    """The bytes of one event, and the output text that it carries."""

    data: bytes
    output: str = ""


def compact(document: object) -> bytes:
    """A JSON document without white space, as UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def sse(document: object, name: str = "") -> bytes:
    """A JSON document as one server-sent event, with its name where the dialect gives events one."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + compact(document) + b"\n\n"


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of one to three words; joined they are the text again."""
    words = re.findall(rf"\s*\S{{1,{_LONGEST_WORD}}}|\s+$", text)
    place = turn = 0
    while place < len(words):
        size = _WORDS_PER_PIECE[turn % len(_WORDS_PER_PIECE)]
        yield "".join(words[place : place + size])
        place += size
        turn += 1


def argument_pieces(arguments: str) -> Iterator[str]:
    """The arguments of a call, bit by bit."""
    for start in range(0, len(arguments), _ARGUMENT_PIECE):
        yield arguments[start : start + _ARGUMENT_PIECE]
