"""Wire formats: a conversation to the bytes of a request, the bytes of an answer to parts. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from omnisphere.chat.v1 import chat_pb2


class MalformedAnswer(Exception):
    """A 200 whose body is not the protocol. `kind` is one word for how, for example "malformed" or "empty"."""

    def __init__(self, kind: str = "malformed") -> None:
        super().__init__(kind)
        self.kind = kind


class ErrorInAnswer(Exception):
    """The provider said inside a 200 that it failed. `body` is its error object."""

    def __init__(self, body: Mapping[str, object]) -> None:
        super().__init__("error in answer")
        self.body = body


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request on the wire."""

    path: str
    body: bytes
    degradations: tuple[chat_pb2.Degradation, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended. `usage` None: the provider reported none."""

    finish_reason: chat_pb2.FinishReason.ValueType
    provider_finish_reason: str
    usage: chat_pb2.Usage | None
    upstream_id: str
    complete: bool


class Reading(Protocol):
    """One answer being read: whole, or event by event. Raises MalformedAnswer and ErrorInAnswer."""

    @property
    def output_bytes(self) -> int:
        """UTF-8 bytes of the answer so far: text, thoughts, refusal and arguments."""

    def whole(self, body: bytes) -> None:
        """Read a body that is not a stream."""

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read one event; what is new in the answer."""

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """The last fragments, and how it ended. `complete` is false where the terminal word never came."""

    def message(self) -> chat_pb2.Message:
        """The answer so far."""


class Adapter(Protocol):
    """One wire format, both ways."""

    def encode(
        self, conversation: chat_pb2.Conversation, *, model: str, stream: bool, quirks: frozenset[str]
    ) -> Encoded:
        """The request. Raises InvalidRequest for what the format's own rules forbid."""

    def reading(self, *, model: str) -> Reading:
        """A reader for one answer of the concrete `model`."""
