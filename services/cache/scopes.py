"""One index of vectors per scope, each of the kind that suits its size. A vector of another scope is not there.

    below 256 vectors         a scan
    below 5,000               FAISS flat
    from there on             inverted lists, trained in the background, and again whenever they have grown fourfold

While lists are trained the old index serves; what changes meanwhile is done to the new one, too, before it takes over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from services.cache.index import Neighbour, Numbers, ScanIndex, VectorIndex
from services.embedding.embedder import Vector

FLAT_FROM, LISTS_FROM = 256, 5_000
_GROWTH = 4
MOST_SCOPES = 20_000
Train = Callable[[bytes, VectorIndex], None]


@dataclass(slots=True)
class _Scope:
    index: VectorIndex
    # How many vectors the lists were trained on; 0: none are.
    trained_on: int = 0
    # While lists are trained: what changed since, in order.
    changes: list[tuple[int, Vector | None]] | None = field(default=None)


class Scopes:
    """The indexes by scope. Beyond `most` scopes the one that was searched longest ago loses its vectors.

    `train` is called with a scope that wants lists, and its index; the caller trains lists, away from the event loop,
    moves vectors into them a few at a time, as `rows` has them, and then hands them to `take_lists`.
    """

    def __init__(self, dimension: int, *, train: Train, most: int = MOST_SCOPES) -> None:
        self._dimension = dimension
        self._train = train
        self._most = most
        self._scopes: OrderedDict[bytes, _Scope] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scopes)

    def add(self, scope: bytes, number: int, vector: Vector) -> list[int]:
        """Take up a vector; the numbers of those that had to go."""
        held = self._scopes.get(scope)
        if held is None:
            held = self._scopes[scope] = _Scope(ScanIndex(self._dimension))
        held.index.add(number, vector)
        if held.changes is not None:
            held.changes.append((number, vector))
        self._grow(scope, held)
        if len(self._scopes) <= self._most:
            return []
        _, gone = self._scopes.popitem(last=False)
        numbers: list[int] = gone.index.numbers().tolist()
        return numbers

    def remove(self, scope: bytes, number: int) -> None:
        """Forget a vector that was taken up."""
        held = self._scopes[scope]
        held.index.remove(number)
        if held.changes is not None:
            held.changes.append((number, None))
        if not len(held.index):
            del self._scopes[scope]

    def search(self, scope: bytes, vector: Vector, count: int) -> list[Neighbour]:
        """The nearest vectors of the scope, nearest first."""
        held = self._scopes.get(scope)
        if held is None:
            return []
        self._scopes.move_to_end(scope)
        return held.index.search(vector, count)

    def rows(self, scope: bytes, index: VectorIndex, numbers: Numbers) -> tuple[Numbers, Vector] | None:
        """What is still there of a scope whose index makes room for lists, without what came since. None: it went."""
        held = self._scopes.get(scope)
        if held is None or held.index is not index or held.changes is None:
            return None
        gone = [number for number, vector in held.changes if vector is None]
        left = numbers[~np.isin(numbers, gone)]
        return left, held.index.vectors(left)

    def take_lists(self, scope: bytes, lists: VectorIndex | None) -> None:
        """The trained lists take over; None: training failed, and may be tried again."""
        held = self._scopes.get(scope)
        if held is None or held.changes is None:
            return  # the scope went meanwhile, or came anew
        changes, held.changes = held.changes, None
        if lists is None:
            return
        for number, vector in changes:
            if vector is None:
                lists.remove(number)
            else:
                lists.add(number, vector)
        held.index, held.trained_on = lists, len(lists)

    def held(self) -> Iterator[tuple[bytes, VectorIndex, int]]:
        """Each scope, its index, and on how many vectors its lists were trained (0: it has none)."""
        for scope, held in self._scopes.items():
            yield scope, held.index, held.trained_on

    def take_index(self, scope: bytes, index: VectorIndex, trained_on: int) -> None:
        """A scope's lists from an earlier life; what is here already goes into them."""
        if (held := self._scopes.get(scope)) is not None:
            numbers = held.index.numbers()
            for number, vector in zip(numbers.tolist(), held.index.vectors(numbers), strict=True):
                index.add(number, vector)
        if len(index):
            self._scopes[scope] = _Scope(index, trained_on)

    def holds(self, scope: bytes, index: VectorIndex) -> bool:
        """Whether that is the scope's index."""
        held = self._scopes.get(scope)
        return held is not None and held.index is index

    def _grow(self, scope: bytes, held: _Scope) -> None:
        size = len(held.index)
        if size == FLAT_FROM and isinstance(held.index, ScanIndex):
            from services.cache.faiss_index import FlatIndex

            flat = FlatIndex(self._dimension)
            numbers = held.index.numbers()
            flat.add_all(numbers, held.index.vectors(numbers))
            held.index = flat
        elif size >= max(LISTS_FROM, _GROWTH * held.trained_on) and held.changes is None:
            held.changes = []
            self._train(scope, held.index)
