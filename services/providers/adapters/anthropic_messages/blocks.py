"""A part of a message to a content block of Anthropic's Messages."""

from __future__ import annotations

import re

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Target, media
from services.providers.adapters.json_text import Json
from services.providers.adapters.lost import Lost
from services.providers.adapters.turns import arguments_object

_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
# As many marks as a request may have.
_MOST_MARKS = 4
_MARK: Json = {"type": "ephemeral"}
_UNMARKED = ("thinking", "redacted_thinking")


class CallIds:
    """Ids of calls as this format allows them: of few letters, and each once in a conversation. Those of other vendors
    may have other letters, and come again in a later turn."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._open: dict[str, str] = {}

    def called(self, call_id: str) -> str:
        """The id of a call."""
        plain = _NO_ID.sub("_", call_id)
        written = plain if plain not in self._taken else f"{plain}_{len(self._taken)}"
        self._taken.add(written)
        self._open[call_id] = written
        return written

    def answered(self, call_id: str) -> str:
        """The id of the last call of this name, for its result."""
        return self._open.get(call_id, _NO_ID.sub("_", call_id))


def block(part: chat_pb2.Part, ids: CallIds, target: Target, lost: Lost, path: str) -> Json | None:
    """The block; None: it is left out, which is said unless it had nothing to say."""
    kind = part.WhichOneof("content")
    if kind == "reasoning":
        return _thoughts(part, target, lost, path)
    if part.HasField("signature"):
        lost.signature(f"{path}.signature")
    match kind:
        case "text" | "refusal":
            text = part.text or part.refusal
            return {"type": "text", "text": text} if text.strip() else None
        case "tool_call":
            call, arguments = part.tool_call, arguments_object(part.tool_call, lost, path)
            return {"type": "tool_use", "id": ids.called(call.id), "name": call.name, "input": arguments}
        case "image":
            return {"type": "image", "source": _source(part.image)}
        case "document" if encoded := _document(part.document):
            return encoded
        case _:
            lost.content(path, part)
            return None


def result(part: chat_pb2.Part, ids: CallIds, lost: Lost, path: str) -> Json:
    """A tool's result: its text, or blocks where it is more than that."""
    if part.HasField("signature"):
        lost.signature(f"{path}.signature")
    said = part.tool_result
    encoded: Json = {"type": "tool_result", "tool_use_id": ids.answered(said.tool_call_id)}
    if len(said.parts) == 1 and said.parts[0].HasField("text"):
        encoded["content"] = said.parts[0].text
    else:
        target = Target("", "", 0)
        inner = [
            block(piece, ids, target, lost, f"{path}.tool_result.parts[{place}]")
            for place, piece in enumerate(said.parts)
        ]
        encoded["content"] = [piece for piece in inner if piece is not None]
    if said.is_error:
        encoded["is_error"] = True
    return encoded


def marked(encoded: Json, part: chat_pb2.Part) -> Json:
    """The block with the end of a cached prefix, where the part asks for it and the block may have it."""
    if part.cache_breakpoint and encoded["type"] not in _UNMARKED:
        encoded["cache_control"] = _MARK
    return encoded


def limited(body: Json) -> None:
    """Only as many marks as are allowed: the last ones, whose prefixes are the longest."""
    system = body.get("system")
    blocks = list(system) if isinstance(system, list) else []
    blocks += [each for turn in body["messages"] for each in turn["content"]]
    for each in [each for each in blocks if "cache_control" in each][:-_MOST_MARKS]:
        del each["cache_control"]


def _thoughts(part: chat_pb2.Part, target: Target, lost: Lost, path: str) -> Json | None:
    """Thoughts go back with their proof, byte for byte, or not at all."""
    proof = lost.proof(part, target, path)
    if not proof:
        lost.content(path, part)
        return None
    if part.reasoning.redacted:
        return {"type": "redacted_thinking", "data": proof}
    return {"type": "thinking", "thinking": part.reasoning.text, "signature": proof}


def _source(source: chat_pb2.Image | chat_pb2.Document) -> Json:
    if source.remote_uri:
        return {"type": "url", "url": source.remote_uri}
    return {"type": "base64", "media_type": source.media_type, "data": media.base64_text(source.data)}


def _document(document: chat_pb2.Document) -> Json | None:
    """A PDF, or plain text."""
    if document.remote_uri or document.media_type == "application/pdf":
        source = _source(document)
    elif document.media_type.startswith("text/"):
        text = document.data.decode("utf-8", errors="replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
    else:
        return None
    return {"type": "document", "source": source} | ({"title": document.name} if document.name else {})
