"""Deltas to a message, and a message to deltas. Pure."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2


class Collector:
    """Puts the deltas of an answer together."""

    def __init__(self) -> None:
        self._parts: dict[int, chat_pb2.Part] = {}
        self._texts: dict[int, list[str]] = {}
        self._whole: chat_pb2.Message | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing came yet."""
        return not (self._whole.parts if self._whole is not None else self._parts)

    def take(self, message: chat_pb2.Message) -> None:
        """The answer came in one piece."""
        self._whole = message

    def apply(self, delta: chat_pb2.Delta) -> None:
        """Add what is new."""
        for fresh in delta.parts:
            part = self._parts.setdefault(fresh.part_index, chat_pb2.Part())
            texts = self._texts.setdefault(fresh.part_index, [])
            match fresh.WhichOneof("content"):
                case "text":
                    texts.append(fresh.text)
                    part.text = ""
                case "reasoning":
                    texts.append(fresh.reasoning)
                    part.reasoning.SetInParent()
                case "refusal":
                    texts.append(fresh.refusal)
                    part.refusal = ""
                case "tool_call":
                    self._tool_call(part, texts, fresh.tool_call)
                case "whole":
                    part.CopyFrom(fresh.whole)
            if fresh.HasField("signature"):
                part.signature.CopyFrom(fresh.signature)

    def message(self) -> chat_pb2.Message:
        """The answer so far."""
        if self._whole is not None:
            return self._whole
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT)
        for index in sorted(self._parts):
            part = message.parts.add()
            part.CopyFrom(self._parts[index])
            text = "".join(self._texts[index])
            match part.WhichOneof("content"):
                case "text" if text:
                    part.text = text
                case "refusal" if text:
                    part.refusal = text
                case "reasoning" if text:
                    part.reasoning.text = text
                case "tool_call" if text:
                    part.tool_call.arguments_json = text
        return message

    def _tool_call(self, part: chat_pb2.Part, texts: list[str], fresh: chat_pb2.ToolCallDelta) -> None:
        part.tool_call.SetInParent()
        part.tool_call.id = part.tool_call.id or fresh.id
        part.tool_call.name = part.tool_call.name or fresh.name
        part.tool_call.arguments_invalid |= fresh.arguments_invalid
        texts.append(fresh.arguments_json)


def deltas_of(message: chat_pb2.Message) -> list[chat_pb2.PartDelta]:
    """A whole message as one delta's parts."""
    return [_delta_of(index, part) for index, part in enumerate(message.parts)]


def _delta_of(index: int, part: chat_pb2.Part) -> chat_pb2.PartDelta:
    fresh = chat_pb2.PartDelta(part_index=index)
    if part.HasField("signature"):
        fresh.signature.CopyFrom(part.signature)
    match part.WhichOneof("content"):
        case "text":
            fresh.text = part.text
        case "refusal":
            fresh.refusal = part.refusal
        case "reasoning" if not part.reasoning.redacted:
            fresh.reasoning = part.reasoning.text
        case "tool_call":
            call = part.tool_call
            fresh.tool_call.CopyFrom(
                chat_pb2.ToolCallDelta(
                    id=call.id,
                    name=call.name,
                    arguments_json=call.arguments_json,
                    arguments_invalid=call.arguments_invalid,
                )
            )
        case _:
            fresh.whole.CopyFrom(part)
    return fresh
