"""The JSON of a generateContent answer, whole or as a stream, to parts of a message."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, MalformedAnswer
from services.providers.adapters.json_text import (
    compact,
    count,
    mapping,
    objects,
    parsed,
    parsed_object,
    string,
)
from services.providers.adapters.reading import BaseReading, FinishWords, refuse
from services.providers.adapters.usage import disjoint
from services.providers.answer import Kind

_BLOCKED = "blocked:"
_FILTERED = chat_pb2.FINISH_REASON_CONTENT_FILTER
_FAILED = chat_pb2.FINISH_REASON_ERROR
_FINISH: FinishWords = {
    "STOP": chat_pb2.FINISH_REASON_STOP,
    "MAX_TOKENS": chat_pb2.FINISH_REASON_LENGTH,
    "SAFETY": _FILTERED,
    "RECITATION": _FILTERED,
    "BLOCKLIST": _FILTERED,
    "PROHIBITED_CONTENT": _FILTERED,
    "SPII": _FILTERED,
    "MODEL_ARMOR": _FILTERED,
    "IMAGE_SAFETY": _FILTERED,
    "IMAGE_PROHIBITED_CONTENT": _FILTERED,
    "IMAGE_RECITATION": _FILTERED,
    "MALFORMED_FUNCTION_CALL": _FAILED,
    "UNEXPECTED_TOOL_CALL": _FAILED,
    "TOO_MANY_TOOL_CALLS": _FAILED,
    "MISSING_THOUGHT_SIGNATURE": _FAILED,
    "MALFORMED_RESPONSE": _FAILED,
}


class GeminiGenerateReading(BaseReading):
    """One answer being read. A stream cuts texts anywhere, so neighbours are one part, but never over a signature: it
    must go back with the very part that it came with, which may have no text at all."""

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._parts = 0
        self._open: Kind | None = None

    @property
    def billed(self) -> chat_pb2.Usage | None:
        """Every event has the figures so far; the last one has the finish reason, or nothing else."""
        return self.usage if self.finish_word or self.answer.is_empty else None

    def whole(self, body: bytes) -> None:
        """Read a GenerateContentResponse, or the list of them that a stream is without alt=sse."""
        document = parsed(body)
        documents = document if isinstance(document, list) else [document]
        for each in documents:
            self._document(each)
        if not self.finish_word and self.answer.is_empty:
            raise MalformedAnswer("empty" if documents else "malformed")

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read one GenerateContentResponse of a stream."""
        self._document(parsed_object(data))
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """Complete once a finish reason came, or the prompt was blocked."""
        reason = _FINISH.get(self.finish_word, chat_pb2.FINISH_REASON_OTHER)
        if self.finish_word.startswith(_BLOCKED):
            reason = _FILTERED
        return self.ended(reason, complete=bool(self.finish_word))

    def _document(self, document: Any) -> None:  # noqa: ANN401 - whatever the provider sent
        if not isinstance(document, dict):
            raise MalformedAnswer
        refuse(document.get("error"))
        self.introduce(document.get("responseId"), document.get("modelVersion"))
        if raw := mapping(document.get("usageMetadata")):
            self.usage = _usage(raw)
        if blocked := string(mapping(document.get("promptFeedback")).get("blockReason")):
            self.finish_word = _BLOCKED + blocked
        candidates = document.get("candidates") or ()
        if not isinstance(candidates, list | tuple):
            raise MalformedAnswer
        for candidate in candidates:
            if not isinstance(candidate, dict):
                raise MalformedAnswer
            if candidate.get("index"):
                continue  # a second alternative, which nobody asked for
            for part in objects(mapping(candidate.get("content")).get("parts")):
                self._part(part)
            self.finish_word = string(candidate.get("finishReason")) or self.finish_word
            for name in ("groundingMetadata", "citationMetadata"):
                if candidate.get(name):
                    self.drop(name)

    def _part(self, part: Mapping[str, Any]) -> None:
        proof = string(part.get("thoughtSignature"))
        if isinstance(part.get("functionCall"), dict):
            call = part["functionCall"]
            arguments = compact(call["args"]) if call.get("args") else "{}"
            key = self._begin("tool_call")
            self.answer.tool_call(
                key, call_id=string(call.get("id")), name=string(call.get("name")), arguments=arguments
            )
        elif isinstance(part.get("text"), str):
            if not part["text"] and not proof:
                return
            kind: Kind = "reasoning" if part.get("thought") else "text"
            key = str(self._parts) if self._open == kind and not proof else self._begin(kind)
            grow = self.answer.reasoning if kind == "reasoning" else self.answer.text
            grow(part["text"], key)
        elif not part.get("thought") and self._picture(mapping(part.get("inlineData")), proof):
            return
        else:
            for name in part:
                if name not in ("thought", "thoughtSignature"):
                    self.drop(name)
            if not proof:
                return
            self._begin("text")
        if proof:
            self._sign(proof)

    def _begin(self, kind: Kind) -> str:
        self._parts += 1
        self._open = kind
        return str(self._parts)

    def _sign(self, proof: str) -> None:
        assert self._open is not None  # noqa: S101 - a part was begun
        self.answer.sign(self._open, proof, str(self._parts))
        self._open = None

    def _picture(self, data: Mapping[str, Any], proof: str) -> bool:
        """A picture that the model drew; whether it is one."""
        media_type = string(data.get("mimeType"))
        try:
            content = base64.b64decode(string(data.get("data")), validate=True)
        except ValueError:
            return False
        if not content or not media_type.startswith("image/"):
            return False
        self._parts += 1
        self._open = None
        image = chat_pb2.Image(data=content, media_type=media_type[:256])
        self.answer.whole(chat_pb2.Part(image=image), str(self._parts), proof=proof)
        return True


def _usage(raw: Mapping[str, Any]) -> chat_pb2.Usage:
    """candidatesTokenCount has no thoughts in it; what the provider's own tools read comes on top of the prompt."""
    thoughts = count(raw, "thoughtsTokenCount")
    return disjoint(
        prompt=count(raw, "promptTokenCount") + count(raw, "toolUsePromptTokenCount"),
        completion=count(raw, "candidatesTokenCount") + thoughts,
        cached=count(raw, "cachedContentTokenCount"),
        reasoning=thoughts,
    )
