"""Where a field of our contract stands in the caller's Responses request."""

from __future__ import annotations

import re

from omnisphere.chat.v1 import chat_pb2
from services.router.edge.openai_responses.messages import Input
from services.router.edge.openai_responses.tools import offered
from services.router.edge.place import PART, shared
from services.router.edge.values import Json

_TOOL = re.compile(r"conversation\.tools\[(\d+)\]\.(\w+)")
_TOOL_WORDS = {"parameters_json": "parameters"}
_WORDS = {
    "conversation.sampling.reasoning_effort": "reasoning.effort",
    "conversation.sampling.": "",
    "conversation.response_format.kind": "text.format.type",
    "conversation.response_format.schema_json": "text.format.schema",
    "conversation.response_format.": "text.format.",
    "conversation.tool_choice.mode": "tool_choice",
    "conversation.tool_choice.": "tool_choice.",
    "conversation.vendor_options_json": "text.verbosity",
    "conversation.messages": "input",
    "conversation.": "",
}
# Of a part, or of a piece of a result; the first that fits.
_PART_WORDS = {
    ".tool_call.name": ".name",
    ".tool_call.id": ".call_id",
    ".tool_call": "",
    ".tool_result.tool_call_id": ".call_id",
    ".image": ".image_url",
    ".document.name": ".filename",
    ".document.remote_uri": ".file_url",
    ".document": ".file_data",
}
_PIECE = re.compile(r"\.tool_result\.parts\[(\d+)\](.*)")


def of(document: Json, field: str) -> str:
    """The caller's own term."""
    tool = _TOOL.match(field)
    if tool is not None:
        at, _ = offered(document)[int(tool[1])]
        return f"tools[{at}].{_TOOL_WORDS.get(tool[2], tool[2])}"
    part = PART.match(field)
    if part is None:
        return shared(field, _WORDS)
    said = Input(chat_pb2.Conversation(), "")
    said.read(document)
    path, parts = said.places[int(part[1])]
    if part[2] is None:
        return f"{path}.content" if part[3] == ".parts" else path + part[3]
    return parts[int(part[2])] + _inner(part[3])


def _inner(rest: str) -> str:
    piece = _PIECE.fullmatch(rest)
    if piece is not None:
        return f".output[{piece[1]}]{_inner(piece[2])}"
    return next((said for ours, said in _PART_WORDS.items() if rest.startswith(ours)), rest)
