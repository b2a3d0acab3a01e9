"""The seam of vector search, and its smallest implementation: a scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from services.embedding.embedder import Vector

Neighbour = tuple[int, float]
Numbers = npt.NDArray[np.int64]
_FIRST_ROWS = 8


class VectorIndex(Protocol):
    """Unit vectors by number, of one dimension. Calls come from one thread; none blocks for more than a few ms."""

    def __len__(self) -> int:
        """How many vectors there are."""

    def add(self, number: int, vector: Vector) -> None:
        """Take up a vector. The number is new."""

    def remove(self, number: int) -> None:
        """Forget a vector. The number is known."""

    def search(self, vector: Vector, count: int) -> list[Neighbour]:
        """The nearest, at most `count`, as (number, cosine), nearest first."""

    def numbers(self) -> Numbers:
        """All numbers, in no order."""

    def vectors(self, numbers: Numbers) -> Vector:
        """The vectors of known numbers as [n, dimension]; as exact as the index keeps them."""


@runtime_checkable
class KeptIndex(VectorIndex, Protocol):
    """An index that is kept in a snapshot as it is."""

    def write(self, write: Callable[[bytes], object]) -> None:
        """Hand the whole index on, piece by piece."""


class ScanIndex:
    """Compares with every vector: right for a few hundred, and exact."""

    def __init__(self, dimension: int) -> None:
        self._vectors = np.empty((_FIRST_ROWS, dimension), np.float32)
        self._numbers: list[int] = []
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, vector: Vector) -> None:
        place = len(self._numbers)
        if place == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[place] = vector
        self._places[number] = place
        self._numbers.append(number)

    def remove(self, number: int) -> None:
        place, last = self._places.pop(number), self._numbers.pop()
        if last != number:  # the last row moves into the gap
            self._vectors[place] = self._vectors[len(self._numbers)]
            self._numbers[place] = last
            self._places[last] = place

    def search(self, vector: Vector, count: int) -> list[Neighbour]:
        if not self._numbers:
            return []
        cosines = self._vectors[: len(self._numbers)] @ vector
        nearest = np.argsort(-cosines, kind="stable")[:count]
        return [(self._numbers[place], float(cosines[place])) for place in nearest]

    def numbers(self) -> Numbers:
        return np.array(self._numbers, np.int64)

    def vectors(self, numbers: Numbers) -> Vector:
        found: Vector = self._vectors[[self._places[number] for number in numbers.tolist()]]
        return found
