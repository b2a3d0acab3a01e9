"""How long a model of Anthropic may think, and when it may not.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking

forced tool use               no thinking, unless the model decides its budget itself
in the middle of a tool loop  only where the turn began with thinking
a limit of 1,024 tokens       no thinking: the budget is at least that, and below the limit
"""

from __future__ import annotations

from collections.abc import Sequence

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Target
from services.providers.adapters.json_text import Json
from services.providers.adapters.lost import Lost
from services.providers.adapters.turns import EFFORTS

_BUDGETS = {
    chat_pb2.REASONING_EFFORT_LOW: 2_048,
    chat_pb2.REASONING_EFFORT_MEDIUM: 8_192,
    chat_pb2.REASONING_EFFORT_HIGH: 24_576,
}
_LEAST_BUDGET = 1_024
_FORCED = (chat_pb2.ToolChoice.MODE_REQUIRED, chat_pb2.ToolChoice.MODE_NAMED)


def settings(
    conversation: chat_pb2.Conversation, turns: Sequence[Json], target: Target, most_tokens: int, lost: Lost
) -> Json:
    """`thinking`, and `output_config` where the model takes a word for it. An effort that is not possible is said."""
    effort = conversation.sampling.reasoning_effort
    adaptive = "adaptive_thinking" in target.quirks
    if effort not in _BUDGETS:  # NONE among them: without a word there is no thinking
        return {}
    possible = not _in_loop_without_thinking(turns)
    if adaptive:
        worded = {"output_config": {"effort": EFFORTS[effort]}}
        return {"thinking": {"type": "adaptive"}} | worded if possible else worded
    budget = min(_BUDGETS[effort], most_tokens // 2)
    if not possible or conversation.tool_choice.mode in _FORCED or most_tokens <= _LEAST_BUDGET:
        lost.feature("conversation.sampling.reasoning_effort")
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": max(budget, _LEAST_BUDGET)}}


def _in_loop_without_thinking(turns: Sequence[Json]) -> bool:
    """Whether results are being sent for a turn that has no thoughts before its calls."""
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")
