"""Fields of our contract that all dialects call by the same words."""

from __future__ import annotations

import re

_OPTIONS = {
    "options.request_id": "x-omnisphere-request-id",
    "options.task_hint": "x-omnisphere-task",
    "options.policy": "model",
    "options.conversation_id": "x-omnisphere-conversation-id",
    "options.region_tags": "x-omnisphere-region-tags",
    "options.max_cost_nanousd": "x-omnisphere-max-cost-nanousd",
    "options.cache.ttl": "x-omnisphere-cache-ttl",
    "options.cache.max_age": "cache-control",
}
PART = re.compile(r"conversation\.messages\[(\d+)\](?:\.parts\[(\d+)\])?(.*)")


def shared(field: str, words: dict[str, str]) -> str:
    """The field in the words of a table: an exact name, else the longest beginning that the table knows."""
    if field in _OPTIONS:
        return _OPTIONS[field]
    for name, said in words.items():
        if field.startswith(name):
            return said + field[len(name) :]
    return field.removeprefix("conversation.")
