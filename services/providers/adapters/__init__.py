"""Wire formats: a conversation to the bytes of a request, the bytes of an answer to parts. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from omnisphere.chat.v1 import chat_pb2

WireFormat = Literal[
    "openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "cohere_chat", "ollama_chat"
]
# What stands between the documents of a stream: server-sent events, or a line for each.
Framing = Literal["sse", "ndjson"]


class MalformedAnswer(Exception):
    """A 200 whose body is not the protocol. `kind` is one word for how, for example "malformed" or "empty".

    `billed`: what the provider reported all the same.
    """

    def __init__(self, kind: str = "malformed", billed: chat_pb2.Usage | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.billed = billed


class ErrorInAnswer(Exception):
    """The provider said inside a 200 that it failed. `body` is its error object."""

    def __init__(self, body: Mapping[str, object]) -> None:
        super().__init__("error in answer")
        self.body = body


@dataclass(frozen=True, slots=True)
class Target:
    """The model that a request is written for, as it is at one endpoint.

    `model` is the concrete id: signatures go back to it alone. `served_name` is the server's own name of it.
    """

    model: str
    served_name: str
    max_output_tokens: int
    quirks: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()


class Encoded(NamedTuple):
    """A request on the wire."""

    path: str
    body: bytes
    degradations: tuple[chat_pb2.Degradation, ...]


class Ending(NamedTuple):
    """How an answer ended. `usage` None: the provider reported none."""

    finish_reason: chat_pb2.FinishReason.ValueType
    provider_finish_reason: str
    usage: chat_pb2.Usage | None
    complete: bool
    # What the answer had and the contract has no place for.
    degradations: tuple[chat_pb2.Degradation, ...] = ()


class Reading(Protocol):
    """One answer being read: whole, or event by event. Raises MalformedAnswer and ErrorInAnswer.

    `upstream_id` and `upstream_model` are what the provider calls the answer and its model, empty until it did; `usage`
    what it has reported so far.
    """

    upstream_id: str
    upstream_model: str
    usage: chat_pb2.Usage | None

    @property
    def billed(self) -> chat_pb2.Usage | None:
        """`usage` once it is the provider's last word of it."""

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
    """One wire format of conversations, both ways."""

    framing: Framing

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """The headers that every request has, `key` in its place; empty: there is none. A key never stands in a URL."""

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request. Raises InvalidRequest for what the format's own rules forbid."""

    def reading(self, *, model: str) -> Reading:
        """A reader for one answer of the concrete `model`, which its signatures will name."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors as an answer had them: 32-bit floats. `usage` None: the provider reported none."""

    vectors: Sequence[array[float]]
    usage: chat_pb2.Usage | None = None
    upstream_id: str = ""
    upstream_model: str = ""


class EmbeddingsAdapter(Protocol):
    """One wire format of vectors, both ways."""

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """As an Adapter's."""

    def encode(self, texts: Sequence[str], target: Target, *, dimensions: int | None) -> Encoded:
        """The request; `dimensions` None: the model's own."""

    def read(self, body: bytes, *, texts: int, dimensions: int | None) -> Embedded:
        """One vector for each of the texts, in their order. Raises MalformedAnswer and ErrorInAnswer."""
