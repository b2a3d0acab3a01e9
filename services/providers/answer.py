"""An answer as it grows: fragments in, parts of one message out. Formats differ in their fragments, not in this."""

from __future__ import annotations

import json

from omnisphere.chat.v1 import chat_pb2


class Answer:
    """Collects fragments into the message of the answer, and hands out what is new as PartDeltas.

    Text, thoughts and refusal are one part each; a tool call is a part by its key. Parts stand in the order in which
    they began.
    """

    def __init__(self) -> None:
        self._parts: list[chat_pb2.Part] = []
        self._texts: dict[int, list[str]] = {}
        self._index: dict[tuple[str, str], int] = {}
        self._fresh: list[chat_pb2.PartDelta] = []
        self.output_bytes = 0

    def text(self, piece: str) -> None:
        """More of the text."""
        if piece:
            self._grow(chat_pb2.PartDelta(part_index=self._at("text"), text=piece), piece)

    def reasoning(self, piece: str) -> None:
        """More of the thoughts."""
        if piece:
            self._grow(chat_pb2.PartDelta(part_index=self._at("reasoning"), reasoning=piece), piece)

    def refusal(self, piece: str) -> None:
        """More of the refusal."""
        if piece:
            self._grow(chat_pb2.PartDelta(part_index=self._at("refusal"), refusal=piece), piece)

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
            elif not _is_object(arguments):
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
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT)
        for at, part in enumerate(self._parts):
            copy = message.parts.add()
            copy.CopyFrom(part)
            text = "".join(self._texts[at])
            match part.WhichOneof("content"):
                case "text":
                    copy.text = text
                case "reasoning":
                    copy.reasoning.text = text
                case "refusal":
                    copy.refusal = text
                case _:
                    copy.tool_call.arguments_json = text
        return message

    @property
    def has_tool_calls(self) -> bool:
        """Whether the model asks for tools."""
        return any(kind == "tool_call" for kind, _ in self._index)

    @property
    def is_empty(self) -> bool:
        """Whether nothing came."""
        return not self._parts

    def _at(self, kind: str, key: str = "") -> int:
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


def _join(before: chat_pb2.PartDelta, after: chat_pb2.PartDelta) -> bool:
    """Append `after` to `before` where both grow the same text."""
    kind = after.WhichOneof("content")
    if before.part_index != after.part_index or before.WhichOneof("content") != kind:
        return False
    if kind == "text":
        before.text += after.text
    elif kind == "reasoning":
        before.reasoning += after.reasoning
    elif kind == "refusal":
        before.refusal += after.refusal
    elif kind == "tool_call":
        before.tool_call.arguments_json += after.tool_call.arguments_json
        before.tool_call.arguments_invalid |= after.tool_call.arguments_invalid
    else:
        return False
    return True


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
