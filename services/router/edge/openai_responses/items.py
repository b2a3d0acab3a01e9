"""Items of a streamed answer while they grow: what happened to each, as names and fields of events. Pure.

Every item begins empty with response.output_item.added and ends whole with response.output_item.done, which stream.py
writes; what comes between is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import orjson

from services.router.edge.openai_responses import write
from services.router.edge.values import Json

Event = tuple[str, Json]
Kind = Literal["text", "refusal"]
_NAMES: dict[Kind, str] = {"text": "output_text", "refusal": "refusal"}


class Item(ABC):
    """One item. `index` is its place in the output. `before` are the bytes of an event that adds words, up to them:
    such events are most of a stream.
    """

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.status = write.IN_PROGRESS
        self.before = b""
        self._where: Json = {"item_id": item_id, "output_index": index}

    @abstractmethod
    def take(self, words: str) -> None:
        """More words."""

    @abstractmethod
    def whole(self) -> Json:
        """The item so far."""

    @abstractmethod
    def closing(self) -> Iterator[Event]:
        """Nothing more is said."""

    def _grows(self, name: str, fields: Json) -> None:
        event = orjson.dumps({"type": name, **fields})
        self.before = b"event: " + name.encode() + b"\ndata: " + event[:-1] + b',"delta":'


@dataclass(slots=True)
class _Piece:
    part_index: int
    kind: Kind
    words: list[str] = field(default_factory=list)

    def whole(self) -> Json:
        words = "".join(self.words)
        return write.text(words) if self.kind == "text" else write.refusal(words)


class Message(Item):
    """What the model says: pieces of text and of refusal, one after the other."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self._pieces: list[_Piece] = []

    def is_in(self, part_index: int, kind: Kind) -> bool:
        """Whether this piece grows."""
        return bool(self._pieces) and (self._pieces[-1].part_index, self._pieces[-1].kind) == (part_index, kind)

    def next(self, part_index: int, kind: Kind) -> Iterator[Event]:
        """The next piece begins."""
        yield from self.closing()
        self._pieces.append(_Piece(part_index, kind))
        self._grows(f"response.{_NAMES[kind]}.delta", self._inner() | _extra(kind))
        yield "response.content_part.added", self._inner() | {"part": self._pieces[-1].whole()}

    def take(self, words: str) -> None:
        """More of the piece."""
        self._pieces[-1].words.append(words)

    def closing(self) -> Iterator[Event]:
        """The last piece is whole."""
        if self._pieces:
            piece = self._pieces[-1]
            part = piece.whole()
            said = self._inner() | {piece.kind: part[piece.kind]} | _extra(piece.kind)
            yield f"response.{_NAMES[piece.kind]}.done", said
            yield "response.content_part.done", self._inner() | {"part": part}

    def whole(self) -> Json:
        """A message."""
        return write.message(self.id, [piece.whole() for piece in self._pieces], self.status)

    def _inner(self) -> Json:
        return self._where | {"content_index": len(self._pieces) - 1}


class Call(Item):
    """A call that the model asks for. `proof` has no place in it, and becomes an item behind it."""

    def __init__(self, item_id: str, index: int, part_index: int, call_id: str, name: str) -> None:
        super().__init__(item_id, index)
        self.part_index = part_index
        self.proof: str | None = None
        self._call_id = call_id
        self._name = name
        self._arguments: list[str] = []
        self._grows("response.function_call_arguments.delta", self._where)

    def take(self, words: str) -> None:
        """More of the arguments."""
        self._arguments.append(words)

    def closing(self) -> Iterator[Event]:
        """The arguments are whole."""
        said = {"name": self._name, "arguments": "".join(self._arguments)}
        yield "response.function_call_arguments.done", self._where | said

    def whole(self) -> Json:
        """A function_call."""
        return write.call(self.id, self._call_id, self._name, "".join(self._arguments), self.status)


class Thoughts(Item):
    """What the model thinks. `proof` may come when the thoughts are long over."""

    def __init__(self, item_id: str, index: int, part_index: int, proof: str | None = None) -> None:
        super().__init__(item_id, index)
        self.part_index = part_index
        self.proof = proof
        self._words: list[str] = []
        self._inner = self._where | {"summary_index": 0}
        self._grows("response.reasoning_summary_text.delta", self._inner)

    def opening(self) -> Iterator[Event]:
        """Before the first words; thoughts may have none."""
        if not self._words:
            yield "response.reasoning_summary_part.added", self._inner | {"part": write.summary("")}

    def take(self, words: str) -> None:
        """More thoughts."""
        self._words.append(words)

    def closing(self) -> Iterator[Event]:
        """No more thoughts."""
        if self._words:
            words = "".join(self._words)
            yield "response.reasoning_summary_text.done", self._inner | {"text": words}
            yield "response.reasoning_summary_part.done", self._inner | {"part": write.summary(words)}

    def whole(self) -> Json:
        """A reasoning item."""
        return write.thoughts(self.id, "".join(self._words), self.proof, self.status)


def _extra(kind: Kind) -> Json:
    """The format wants log probabilities beside texts; there are none."""
    return {"logprobs": []} if kind == "text" else {}
