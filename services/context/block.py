"""Blocks: messages of ours that carry earlier turns, verbatim, between two marks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.turns import Turn

_OPEN, _CLOSE = "<earlier_turns>", "</earlier_turns>"


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
