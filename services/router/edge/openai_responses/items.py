"""Items of a streamed answer while they grow: what happened to each, as names and fields of events. Pure.

Every item begins empty with response.output_item.added and ends whole with response.output_item.done, which stream.py
writes; what comes between is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from services.router.edge.openai_responses import write
from services.router.edge.values import Json

Event = tuple[str, Json]
Kind = Literal["text", "refusal"]
_NAMES: dict[Kind, str] = {"text": "output_text", "refusal": "refusal"}


class Item(ABC):
    """One item. `index` is its place in the output."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.status = write.IN_PROGRESS
        self._where: Json = {"item_id": item_id, "output_index": index}

    @abstractmethod
    def whole(self) -> Json:
        """The item so far."""

    @abstractmethod
    def closing(self) -> Iterator[Event]:
        """Nothing more is said."""


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

    def grow(self, part_index: int, kind: Kind, words: str) -> Iterator[Event]:
        """More of a piece, or the next one."""
        if not self._pieces or (self._pieces[-1].part_index, self._pieces[-1].kind) != (part_index, kind):
            yield from self.closing()
            self._pieces.append(_Piece(part_index, kind))
            yield "response.content_part.added", self._inner() | {"part": self._pieces[-1].whole()}
        if words:
            self._pieces[-1].words.append(words)
            yield f"response.{_NAMES[kind]}.delta", self._inner() | {"delta": words} | _extra(kind)

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

    def grow(self, arguments: str) -> Iterator[Event]:
        """More of the arguments."""
        if arguments:
            self._arguments.append(arguments)
            yield "response.function_call_arguments.delta", self._where | {"delta": arguments}

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

    def grow(self, words: str) -> Iterator[Event]:
        """More thoughts."""
        if words:
            if not self._words:
                yield "response.reasoning_summary_part.added", self._inner | {"part": write.summary("")}
            self._words.append(words)
            yield "response.reasoning_summary_text.delta", self._inner | {"delta": words}

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
