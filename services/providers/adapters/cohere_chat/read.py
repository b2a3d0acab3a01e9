"""The JSON of an answer of Cohere's chat, version 2, whole or as a stream, to parts of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, MalformedAnswer
from services.providers.adapters.json_text import count, mapping, objects, parsed_object, string
from services.providers.adapters.reading import BaseReading, FinishWords, refuse
from services.providers.adapters.usage import disjoint

_FINISH: FinishWords = {
    "COMPLETE": chat_pb2.FINISH_REASON_STOP,
    "STOP_SEQUENCE": chat_pb2.FINISH_REASON_STOP,
    "MAX_TOKENS": chat_pb2.FINISH_REASON_LENGTH,
    "TOOL_CALL": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "ERROR_TOXIC": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "ERROR": chat_pb2.FINISH_REASON_ERROR,
    "ERROR_LIMIT": chat_pb2.FINISH_REASON_LENGTH,
    "TIMEOUT": chat_pb2.FINISH_REASON_ERROR,
    "USER_CANCEL": chat_pb2.FINISH_REASON_ERROR,
}
# Beside the answer, without a place of its own.
_NO_PLACE = ("tool_plan", "citations")


class CohereChatReading(BaseReading):
    """One answer being read. Content and calls each have a place in their list."""

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._done = False

    def whole(self, body: bytes) -> None:
        """Read a chat response."""
        document = parsed_object(body)
        refuse(document.get("error"))
        message = document.get("message")
        if not isinstance(message, dict):
            raise MalformedAnswer
        self._envelope(document)
        for place, piece in enumerate(objects(message.get("content"))):
            self._content(str(place), piece)
        for place, call in enumerate(objects(message.get("tool_calls"))):
            self._call(str(place), call)
        self._beside(message)
        self._done = True

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read one event of a stream."""
        if data.strip() == "[DONE]":
            return ()
        event = parsed_object(data)
        refuse(event.get("error"))
        delta, key = mapping(event.get("delta")), str(event.get("index"))
        message = mapping(delta.get("message"))
        match event.get("type"):
            case "message-start":
                self._envelope(event)
            case "content-start" | "content-delta":
                self._content(key, mapping(message.get("content")))
            case "tool-call-start" | "tool-call-delta":
                self._call(key, mapping(message.get("tool_calls")))
            case "tool-plan-delta" | "citation-start":
                self._beside(message)
            case "message-end":
                refuse(delta.get("error"))
                self._envelope(delta)
                self._done = True
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """Complete with its finish reason and, of a stream, the last event."""
        reason = _FINISH.get(self.finish_word, chat_pb2.FINISH_REASON_OTHER)
        return self.ended(reason, complete=self._done and bool(self.finish_word))

    def _envelope(self, document: Mapping[str, Any]) -> None:
        self.introduce(document.get("id"), None)
        self.finish_word = string(document.get("finish_reason")) or self.finish_word
        if raw := mapping(document.get("usage")):
            tokens = mapping(raw.get("tokens")) or mapping(raw.get("billed_units"))
            self.usage = disjoint(
                prompt=count(tokens, "input_tokens"),
                completion=count(tokens, "output_tokens"),
                cached=count(raw, "cached_tokens"),
            )

    def _content(self, key: str, piece: Mapping[str, Any]) -> None:
        """A piece, or more of one: a delta does not say its type."""
        if isinstance(piece.get("thinking"), str):
            self.answer.reasoning(piece["thinking"], key)
        elif isinstance(piece.get("text"), str):
            self.answer.text(piece["text"], key)
        elif piece.get("type"):
            self.drop(piece["type"])

    def _call(self, key: str, call: Mapping[str, Any]) -> None:
        function = mapping(call.get("function"))
        self.answer.tool_call(
            key,
            call_id=string(call.get("id")),
            name=string(function.get("name")),
            arguments=string(function.get("arguments")),
        )

    def _beside(self, message: Mapping[str, Any]) -> None:
        for name in _NO_PLACE:
            if message.get(name):
                self.drop(name)
