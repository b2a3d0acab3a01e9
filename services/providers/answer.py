"""An answer as it grows: fragments in, parts of one message out. Formats differ in their fragments, not in this."""

from __future__ import annotations

import re
from typing import Literal

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters.json_text import is_object

Kind = Literal["text", "reasoning", "refusal", "tool_call"]
# The id that a call gets here where the provider gave it none; such a provider matches results by name and order.
_MADE_UP = re.compile(r"call_\d{1,4}")


def made_up(call_id: str) -> bool:
    """Whether a call's id was made here, so that the provider does not know it."""
    return _MADE_UP.fullmatch(call_id) is not None


class Answer:
    """Collects fragments into the message of the answer, and hands out what is new as PartDeltas.

    A part is known by its kind and the key that the format gives it (a block's index, a call's id), and may grow while
    others do. Parts stand in the order in which they began. `model` made the answer: signatures name it.
    """

    def __init__(self, model: str = "") -> None:
        self._model = model
        self._parts: list[chat_pb2.Part] = []
        self._texts: dict[int, list[str]] = {}
        self._index: dict[tuple[str, str], int] = {}
        self._fresh: list[chat_pb2.PartDelta] = []
        self.output_bytes = 0

    def text(self, piece: str, key: str = "") -> None:
        """More of a text."""
        if piece:
            self._grow(chat_pb2.PartDelta(part_index=self._at("text", key), text=piece), piece)

    def reasoning(self, piece: str, key: str = "") -> None:
        """More of the thoughts."""
        if piece:
            self._grow(chat_pb2.PartDelta(part_index=self._at("reasoning", key), reasoning=piece), piece)

    def refusal(self, piece: str, key: str = "") -> None:
        """More of the refusal."""
        if piece:
            self._grow(chat_pb2.PartDelta(part_index=self._at("refusal", key), refusal=piece), piece)

    def tool_call(self, key: str, *, call_id: str, name: str, arguments: str) -> None:
        """More of the tool call `key`; its first fragment brings id and name."""
        first = ("tool_call", key) not in self._index
        at = self._at("tool_call", key)
        if arguments.strip() == "null" and not self._texts[at]:
            arguments = ""  # some servers say null where they mean {}
        call = chat_pb2.ToolCallDelta(arguments_json=arguments)
        if first:
            self._parts[at].tool_call.id = call.id = call_id or f"call_{at}"
            self._parts[at].tool_call.name = call.name = name
        self._grow(chat_pb2.PartDelta(part_index=at, tool_call=call), arguments)

    def begin(self, kind: Kind, key: str = "") -> None:
        """The part stands here, whatever comes of it later."""
        if not self.has(kind, key):
            self._fresh.append(_nothing(kind, self._at(kind, key)))

    def sign(self, kind: Kind, value: str, key: str = "") -> None:
        """The proof that belongs to a part; the part begins with it where nothing of it came before."""
        at = self._at(kind, key)
        signature = self._parts[at].signature
        signature.value, signature.origin_model = value, self._model
        delta = _nothing(kind, at)
        delta.signature.CopyFrom(signature)
        self._fresh.append(delta)

    def redacted(self, value: str, key: str = "") -> None:
        """Thoughts of which the provider gives the proof alone."""
        self.whole(chat_pb2.Part(reasoning=chat_pb2.Reasoning(redacted=True)), key, proof=value)

    def whole(self, part: chat_pb2.Part, key: str = "", *, proof: str = "") -> None:
        """A part that comes at once, once for each key, with its proof where it has one."""
        if proof:
            part.signature.value, part.signature.origin_model = proof, self._model
        if ("whole", key) not in self._index:
            self._index["whole", key] = len(self._parts)
            self._fresh.append(chat_pb2.PartDelta(part_index=len(self._parts), whole=part))
            self._parts.append(part)

    def has(self, kind: Kind | Literal["whole"], key: str) -> bool:
        """Whether the part began."""
        return (kind, key) in self._index

    def close_tool_calls(self) -> None:
        """No more fragments: a call without arguments has {}, one whose arguments are no object is marked."""
        for (kind, _), at in self._index.items():
            if kind != "tool_call":
                continue
            arguments = "".join(self._texts[at])
            if not arguments.strip():
                self._grow(
                    chat_pb2.PartDelta(part_index=at, tool_call=chat_pb2.ToolCallDelta(arguments_json="{}")), "{}"
                )
            elif not is_object(arguments):
                self._parts[at].tool_call.arguments_invalid = True
                marked = chat_pb2.ToolCallDelta(arguments_invalid=True)
                self._fresh.append(chat_pb2.PartDelta(part_index=at, tool_call=marked))

    def take(self) -> list[chat_pb2.PartDelta]:
        """What is new since the last time; neighbours of one part are joined."""
        fresh, self._fresh = self._fresh, []
        joined: list[chat_pb2.PartDelta] = []
        for delta in fresh:
            if not (joined and _join(joined[-1], delta)):
                joined.append(delta)
        return joined

    def message(self) -> chat_pb2.Message:
        """The whole answer so far."""
        for at, pieces in self._texts.items():
            part, text = self._parts[at], "".join(pieces)
            match part.WhichOneof("content"):
                case "text":
                    part.text = text
                case "reasoning":
                    part.reasoning.text = text
                case "refusal":
                    part.refusal = text
                case _:
                    part.tool_call.arguments_json = text
        return chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=self._parts)

    @property
    def has_tool_calls(self) -> bool:
        """Whether the model asks for tools."""
        return any(kind == "tool_call" for kind, _ in self._index)

    @property
    def is_empty(self) -> bool:
        """Whether nothing came."""
        return not self._parts

    def _at(self, kind: Kind, key: str) -> int:
        found = self._index.get((kind, key))
        if found is not None:
            return found
        part = chat_pb2.Part()
        if kind == "text":
            part.text = ""
        elif kind == "refusal":
            part.refusal = ""
        elif kind == "reasoning":
            part.reasoning.SetInParent()
        else:
            part.tool_call.SetInParent()
        self._parts.append(part)
        at = len(self._parts) - 1
        self._index[(kind, key)] = at
        self._texts[at] = []
        return at

    def _grow(self, delta: chat_pb2.PartDelta, piece: str) -> None:
        self._texts[delta.part_index].append(piece)
        self.output_bytes += len(piece.encode())
        self._fresh.append(delta)


def _nothing(kind: Kind, at: int) -> chat_pb2.PartDelta:
    """A delta of this kind that adds no text."""
    delta = chat_pb2.PartDelta(part_index=at)
    if kind == "tool_call":
        delta.tool_call.SetInParent()
    else:
        setattr(delta, kind, "")
    return delta


def _join(before: chat_pb2.PartDelta, after: chat_pb2.PartDelta) -> bool:
    """Append `after` to `before` where both grow the same text."""
    kind = after.WhichOneof("content")
    if before.part_index != after.part_index or before.WhichOneof("content") != kind or kind == "whole":
        return False
    if kind == "text":
        before.text += after.text
    elif kind == "reasoning":
        before.reasoning += after.reasoning
    elif kind == "refusal":
        before.refusal += after.refusal
    else:
        before.tool_call.arguments_json += after.tool_call.arguments_json
        before.tool_call.arguments_invalid |= after.tool_call.arguments_invalid
    if after.HasField("signature"):
        before.signature.CopyFrom(after.signature)
    return True
