"""What reading an answer is the same for in every wire format: the answer so far, its end, and what had no place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, ErrorInAnswer, MalformedAnswer
from services.providers.answer import Answer

_UNCLEAN = re.compile(r"[^a-z0-9_.-]+")
# An answer of which nothing came and that ended like this is no answer. Cut short or filtered, it may well be empty.
_SAYS_SOMETHING = {
    chat_pb2.FINISH_REASON_STOP,
    chat_pb2.FINISH_REASON_TOOL_CALLS,
    chat_pb2.FINISH_REASON_OTHER,
}
FinishWords = Mapping[str, chat_pb2.FinishReason.ValueType]


class BaseReading:
    """One answer of `model` being read; children read the documents of their format into it."""

    def __init__(self, model: str = "") -> None:
        self.answer = Answer(model)
        self.finish_word = ""
        self.usage: chat_pb2.Usage | None = None
        self.upstream_id = ""
        self.upstream_model = ""
        self._dropped: dict[str, None] = {}

    @property
    def billed(self) -> chat_pb2.Usage | None:
        """The reported usage, where no more will come; most formats report once, at the end."""
        return self.usage

    @property
    def output_bytes(self) -> int:
        """Bytes of the answer so far."""
        return self.answer.output_bytes

    def message(self) -> chat_pb2.Message:
        """The answer so far."""
        return self.answer.message()

    def drop(self, kind: object) -> None:
        """The provider sent something that the contract has no place for; said once for each kind."""
        word = _UNCLEAN.sub("_", kind.lower())[:64] if isinstance(kind, str) else ""
        if len(self._dropped) < 16:
            self._dropped[f"answer.{word or 'unknown'}"] = None

    def introduce(self, upstream_id: object, upstream_model: object) -> None:
        """The first names that the answer gives itself and its model."""
        if isinstance(upstream_id, str) and not self.upstream_id:
            self.upstream_id = upstream_id[:256]
        if isinstance(upstream_model, str) and not self.upstream_model:
            self.upstream_model = upstream_model[:256]

    def ended(
        self, reason: chat_pb2.FinishReason.ValueType, *, complete: bool
    ) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """The last fragments, and how it ended. Raises MalformedAnswer where a finished answer is empty."""
        self.answer.close_tool_calls()
        if self.answer.has_tool_calls and (reason == chat_pb2.FINISH_REASON_STOP or not self.finish_word):
            reason = chat_pb2.FINISH_REASON_TOOL_CALLS  # some formats have no word for it
        if complete and self.answer.is_empty and not self._dropped and reason in _SAYS_SOMETHING:
            raise MalformedAnswer("empty")
        dropped = chat_pb2.Degradation.KIND_FEATURE_DROPPED
        ending = Ending(
            reason,
            self.finish_word[:64],
            self.usage,
            complete,
            tuple(chat_pb2.Degradation(kind=dropped, subject=subject) for subject in self._dropped),
        )
        return self.answer.take(), ending


def refuse(error: object) -> None:
    """Raise ErrorInAnswer where there is an error object, or the text of one."""
    if error:
        raise ErrorInAnswer(error if isinstance(error, dict) else {"message": str(error)})


def text_of(pieces: Sequence[Mapping[str, Any]], name: str = "text") -> str:
    """The texts of a list of typed pieces, joined."""
    return "".join(piece[name] for piece in pieces if isinstance(piece.get(name), str))
