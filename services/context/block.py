"""Blocks: messages of ours that carry earlier turns, verbatim, between two marks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.turns import Turn

_OPEN, _CLOSE = "<earlier_turns>", "</earlier_turns>"
_OPEN_MEMORY, _CLOSE_MEMORY = "<memory>", "</memory>"


def day_line(day: str) -> str:
    """What stands before the turns of a day."""
    return f"[{day}]"


def turns_block(turns: Mapping[int, Turn]) -> chat.Message:
    """The turns (by their place in the conversation) as one message; an empty line stands where some are left out."""
    places = sorted(turns)
    lines = [_OPEN]
    day = ""
    gaps = {later for earlier, later in pairwise(places) if later != earlier + 1}
    for place in places:
        turn = turns[place]
        if turn.day and turn.day != day:
            day = turn.day
            lines.append(day_line(day))
        elif place in gaps:
            lines.append("")
        lines.append(turn.line)
    lines.append(_CLOSE)
    return chat.Message(role=chat.ROLE_USER, parts=[chat.Part(text="\n".join(lines))])


def memory_block(texts: Sequence[str]) -> chat.Message:
    """Remembered items as one message."""
    text = "\n".join((_OPEN_MEMORY, *texts, _CLOSE_MEMORY))
    return chat.Message(role=chat.ROLE_USER, parts=[chat.Part(text=text)])
