"""Reads the events of a stream: messages in, events out, and the answer so far. No I/O.

sees       does
started    keeps the plan
delta      gives one event per piece, and lets the answer grow
restart    gives Restart; the answer begins anew
end        the answer is whole, unless it says ERROR: then a failing status follows
"""

from __future__ import annotations

from collections.abc import Iterator

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client.completion import Completion
from omnisphere_client.errors import OmnisphereError, interrupted
from omnisphere_client.events import (
    Event,
    ReasoningDelta,
    RefusalDelta,
    Restart,
    TextDelta,
    ToolCallDelta,
    WholePart,
)


class Reading:
    """What is known of a stream so far."""

    def __init__(self) -> None:
        self.started: pb.Started | None = None
        self._end: pb.End | None = None
        self._parts: dict[int, chat_pb2.Part] = {}
        self._pieces: dict[int, list[str]] = {}

    def take(self, message: pb.StreamCompleteResponse) -> Iterator[Event]:
        """The events that a message of the stream stands for; kinds of a later release stand for none."""
        match message.WhichOneof("event"):
            case "started":
                self.started = message.started
            case "delta":
                for fresh in message.delta.parts:
                    yield from self._grow(fresh)
            case "restart":
                self._parts.clear()
                self._pieces.clear()
                yield Restart(message.restart.reason, message.restart.attempt)
            case "end":
                self._end = message.end

    @property
    def text(self) -> str:
        """The text so far, without what a restart made void."""
        kept = (index for index, part in sorted(self._parts.items()) if part.HasField("text"))
        return "".join(piece for index in kept for piece in self._pieces[index])

    def completion(self) -> Completion:
        """The whole answer. Raises StreamInterrupted where the stream brought no proper end."""
        if self._end is None:
            raise self.noted(interrupted("no_end"))
        if self._end.finish_reason == chat_pb2.FINISH_REASON_ERROR:
            raise self.noted(interrupted("end_with_error"))
        return Completion(
            pb.CompleteResponse(
                message=self._message(),
                finish_reason=self._end.finish_reason,
                usage=self._end.usage,
                cost=self._end.cost,
                decision=self._end.decision,
            )
        )

    def noted(self, error: OmnisphereError) -> OmnisphereError:
        """The error with what came before it."""
        error.partial_text = self.text
        error.decision = self._end.decision if self._end is not None else None
        return error

    def _grow(self, fresh: chat_pb2.PartDelta) -> Iterator[Event]:
        part = self._parts.setdefault(fresh.part_index, chat_pb2.Part())
        pieces = self._pieces.setdefault(fresh.part_index, [])
        if fresh.HasField("signature"):
            part.signature.CopyFrom(fresh.signature)
        match fresh.WhichOneof("content"):
            case "text":
                part.text = ""
                pieces.append(fresh.text)
                yield TextDelta(fresh.text)
            case "reasoning":
                part.reasoning.SetInParent()
                pieces.append(fresh.reasoning)
                yield ReasoningDelta(fresh.reasoning)
            case "refusal":
                part.refusal = ""
                pieces.append(fresh.refusal)
                yield RefusalDelta(fresh.refusal)
            case "tool_call":
                call, more = part.tool_call, fresh.tool_call
                call.id, call.name = call.id or more.id, call.name or more.name
                call.arguments_invalid |= more.arguments_invalid
                pieces.append(more.arguments_json)
                yield ToolCallDelta(fresh.part_index, more.id, more.name, more.arguments_json)
            case "whole":
                part.CopyFrom(fresh.whole)
                yield WholePart(fresh.whole)

    def _message(self) -> chat_pb2.Message:
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT)
        for index, grown in sorted(self._parts.items()):
            part = message.parts.add()
            part.CopyFrom(grown)
            text = "".join(self._pieces[index])
            match part.WhichOneof("content"):
                case "text":
                    part.text = text
                case "refusal":
                    part.refusal = text
                case "reasoning" if text:
                    part.reasoning.text = text
                case "tool_call":
                    part.tool_call.arguments_json = text
        return message
