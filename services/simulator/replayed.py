"""The reply of a recorded model: the text and the tokens of then, or a refusal where nothing was recorded. Pure."""

from __future__ import annotations

from dataclasses import replace

from services.simulator.answer import Reply, cut, last_user
from services.simulator.api_error import not_recorded
from services.simulator.chat_request import ChatRequest, Message
from services.simulator.fleet import Model
from services.simulator.recorded import Recorded
from services.simulator.tokens import count_prompt


def replayed(request: ChatRequest, model: Model, recorded: Recorded) -> tuple[Reply, int]:
    """(the reply, tokens of input). Raises Refused: an invented answer would pass for a recorded one.

    What stands beside the recorded prompt (instructions, earlier turns, tools) is counted on top of its tokens.
    """
    text, _ = last_user(request.messages)
    asked = recorded.prompts.get(text)
    said = asked.said.get(model.id) if asked is not None else None
    if asked is None or said is None:
        raise not_recorded(model.id, recorded.name, is_prompt=asked is not None)
    alone = replace(request, messages=(Message("user", (text,)),), tools_json=())
    tokens = asked.tokens + count_prompt(request) - count_prompt(alone)
    return cut(Reply(said.text, tokens=said.tokens), request, max(1, model.window - tokens)), tokens
