"""Where a field of our contract stands in the caller's chat completion request."""

from __future__ import annotations

import re

from services.router.edge.place import PART, shared
from services.router.edge.values import Json

_TOOL = re.compile(r"conversation\.tools\[(\d+)\]\.(\w+)")
_TOOL_WORDS = {"parameters_json": "parameters"}
_WORDS = {
    "conversation.sampling.": "",
    "conversation.response_format.kind": "response_format.type",
    "conversation.response_format.schema_json": "response_format.json_schema.schema",
    "conversation.response_format.": "response_format.json_schema.",
    "conversation.tool_choice.name": "tool_choice.function.name",
    "conversation.tool_choice.mode": "tool_choice",
    "conversation.vendor_options_json": "frequency_penalty",
    "conversation.": "",
}


def of(document: Json, field: str) -> str:
    """The caller's own term."""
    if field == "conversation.sampling.max_output_tokens":
        return "max_completion_tokens" if document.get("max_completion_tokens") is not None else "max_tokens"
    tool = _TOOL.match(field)
    if tool is not None:
        return f"tools[{tool[1]}].function.{_TOOL_WORDS.get(tool[2], tool[2])}"
    part = PART.match(field)
    if part is None:
        return shared(field, _WORDS)
    path = f"messages[{part[1]}]"
    if part[2] is None:
        return f"{path}.content" if part[3] == ".parts" else path + part[3]
    return path + _part(document["messages"][int(part[1])], int(part[2]), part[3])


def _part(row: Json, at: int, rest: str) -> str:
    """Messages stay in their places; their parts do as well, but for those of the assistant."""
    content = row.get("content")
    if row.get("role") == "tool":
        return ".tool_call_id" if rest.endswith("tool_call_id") else ".content"
    if row.get("role") == "assistant":
        if row.get("reasoning_content"):
            if at == 0:
                return ".reasoning_content"
            at -= 1
        pieces = len(content) if isinstance(content, list) else int(bool(content))
        if at >= pieces:
            at -= pieces
            if row.get("refusal"):
                if at == 0:
                    return ".refusal"
                at -= 1
            words = rest.replace(".tool_call.name", ".function.name").replace(".tool_call.id", ".id")
            return f".tool_calls[{at}]{words.replace('.tool_call', '')}"
    if not isinstance(content, list):
        return ".content"
    if ".image" in rest:
        return f".content[{at}].image_url.url"
    if ".document" in rest:
        return f".content[{at}].file.{'filename' if rest.endswith('name') else 'file_data'}"
    return f".content[{at}]"
