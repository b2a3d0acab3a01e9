"""Where a field of our contract stands in the caller's Messages request."""

from __future__ import annotations

import re

from services.router.edge.place import PART, shared
from services.router.edge.values import Json

_TOOL = re.compile(r"conversation\.tools\[(\d+)\]\.parameters_json")
_WORDS = {
    "conversation.sampling.max_output_tokens": "max_tokens",
    "conversation.sampling.stop": "stop_sequences",
    "conversation.sampling.reasoning_effort": "thinking",
    "conversation.sampling.": "",
    "conversation.response_format.schema_json": "output_config.format.schema",
    "conversation.response_format": "output_config.format",
    "conversation.tool_choice.mode": "tool_choice.type",
    "conversation.": "",
}
_PART_WORDS = {
    ".tool_result.tool_call_id": ".tool_use_id",
    ".tool_call.id": ".id",
    ".tool_call.name": ".name",
    ".image.data": ".source.data",
    ".image.remote_uri": ".source.url",
    ".document.data": ".source.data",
    ".document.remote_uri": ".source.url",
    ".document.name": ".title",
    ".tool_call": "",
}


def of(document: Json, field: str) -> str:
    """The caller's own term."""
    tool = _TOOL.match(field)
    if tool is not None:
        return f"tools[{tool[1]}].input_schema"
    part = PART.match(field)
    if part is None:
        return shared(field, _WORDS)
    found = _message(document, int(part[1]))
    if found is None:
        return "system" if part[2] is None else f"system[{part[2]}]"
    at, is_results = found
    rest = next(
        (said + part[3][len(ours) :] for ours, said in _PART_WORDS.items() if part[3].startswith(ours)), part[3]
    )
    if part[2] is None:
        return f"messages[{at}].content" if rest == ".parts" else f"messages[{at}]{rest}"
    content = document["messages"][at]["content"]
    if isinstance(content, str):
        return f"messages[{at}].content"
    blocks = [place for place, block in enumerate(content) if (block.get("type") == "tool_result") == is_results]
    return f"messages[{at}].content[{blocks[int(part[2])]}]{rest}"


def _message(document: Json, number: int) -> tuple[int, bool] | None:
    """(which of the caller's messages is our message `number`, whether it is the tool results in it); None: system."""
    ours = -1
    if document.get("system"):
        ours += 1
        if number == ours:
            return None
    for at, row in enumerate(document["messages"]):
        content = row["content"]
        kinds = {block.get("type") == "tool_result" for block in content} if isinstance(content, list) else {False}
        if row["role"] == "assistant" or not kinds:
            kinds = {False}
        for is_results in sorted(kinds, reverse=True):
            ours += 1
            if number == ours:
                return at, is_results
    return 0, False
