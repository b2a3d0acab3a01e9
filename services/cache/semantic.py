"""The semantic level: which kept answer was given to a request of the same meaning? No I/O, no clock of its own.

    nearest entries of the scope -> those that live -> hard rules (veto.py) -> verifier -> threshold of the budget

Every outcome says why it is one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

import numpy as np

from services.cache.entry import Entry
from services.cache.features import Prepared, features, prepare
from services.cache.fingerprint import Asked, Fingerprint, last_text, scope_part
from services.cache.index import KeptIndex
from services.cache.places import NOWHERE
from services.cache.scopes import Scopes
from services.cache.snapshot import ScopeVectors
from services.cache.verifier import Verifier
from services.cache.veto import Veto, veto
from services.embedding.embedder import Vector
from services.embedding.words import WordVectors

# Entries that are looked at in full.
NEIGHBOURS = 3
# Below it the verifier never agrees (bench.cache: no hit of any stream), so it is not asked.
FLOOR = 0.6
# Some of the nearest may be over, or be known to be wrong.
_SEARCHED = 8
_MOST_PREPARED = 2_048
# Bytes of a fingerprint.
_NAME = 32
_AT_ONCE = 1_000
_FREE = -1


@dataclass(frozen=True, slots=True)
class Near:
    """What came of a search. `entry` is the one that decided; without one nothing was near.

    `similarity` is the cosine of the two texts, `confidence` the verifier's probability; both are those of `entry`.
    """

    state: Literal["hit", "vetoed", "below", "none"]
    entry: Entry | None = None
    similarity: float = 0.0
    confidence: float = 0.0
    veto: Veto | None = None


_NOTHING = Near("none")


class SemanticTable:
    """Vectors of kept entries, and the decision over them. Entries are named by their places in the exact table."""

    def __init__(self, scopes: Scopes, verifier: Verifier, words: WordVectors) -> None:
        self._scopes = scopes
        self._verifier = verifier
        # Each vector has a number; numbers that are free again are given out first, so that all stays short.
        self._numbers = array("i")  # by place; FREE: it has no vector
        self._places = array("i")  # by number; FREE: it is to be given out
        self._free = array("i")
        self._count = 0

        @lru_cache(maxsize=_MOST_PREPARED)
        def prepared(text: str) -> Prepared:
            return prepare(text, words)

        self._prepared = prepared

    def __len__(self) -> int:
        return self._count

    def add(self, place: int, scope: bytes, vector: Vector) -> None:
        """Have the entry there found by its meaning. Where it is already, its vector stays."""
        if self._number_at(place) != _FREE:
            return
        if self._free:
            number = self._free.pop()
        else:
            number = len(self._places)
            self._places.append(_FREE)
        self._know(place, number)
        for gone in self._scopes.add(scope, number, vector):
            self._let_go(gone)

    def remove(self, place: int, entry: Entry) -> None:
        """Forget the vector of the entry that was there, where it has one."""
        number = self._number_at(place)
        if number != _FREE:
            self._scopes.remove(entry.asked().scope, number)
            self._let_go(number)

    def _number_at(self, place: int) -> int:
        return self._numbers[place] if 0 <= place < len(self._numbers) else _FREE

    def _know(self, place: int, number: int) -> None:
        if place >= len(self._numbers):
            self._numbers.extend([_FREE] * (place + 1 - len(self._numbers)))
        self._numbers[place] = number
        self._places[number] = place
        self._count += 1

    def _let_go(self, number: int) -> None:
        place = self._places[number]
        if place != _FREE:  # else it is of a snapshot, and not taken yet
            self._numbers[place] = self._places[number] = _FREE
            self._free.append(number)
            self._count -= 1

    def dump(self, name: Callable[[int], Fingerprint]) -> list[ScopeVectors]:
        """All vectors there are, for a snapshot; `name` says whose place it is.

        Lists come as they are: to be written before they change.
        """
        made = []
        for scope, index, trained_on in self._scopes.held():
            numbers = index.numbers()
            kept = index if isinstance(index, KeptIndex) else None
            vectors = None if kept is not None else index.vectors(numbers).astype(np.float16)
            names = b"".join([name(self._places[number]) for number in numbers.tolist()])
            made.append(ScopeVectors(scope, numbers, names, vectors, kept, trained_on))
        return made

    def after(self, scopes: list[ScopeVectors]) -> None:
        """Give out no number that one of these scopes has: before any of them is taken."""
        highest = max((int(kept.numbers.max(initial=-1)) for kept in scopes), default=-1)
        self._places.extend([_FREE] * (highest + 1 - len(self._places)))
        del self._free[:]

    def taken(self) -> None:
        """All of them are taken: what none of them has may be given out."""
        self._free = array("i", (number for number, place in enumerate(self._places) if place == _FREE))

    def take(self, kept: ScopeVectors, place_of: Callable[[Fingerprint], int]) -> Iterator[None]:
        """Take up a scope of a snapshot, a few vectors per step of the iterator; not of entries that are nowhere.

        Entries may come and go between the steps: so lists are in their scope first, and then their numbers are known.
        """
        if kept.index is not None:
            self._scopes.take_index(kept.scope, kept.index, kept.trained_on)
        for row, number in enumerate(kept.numbers.tolist()):
            place = place_of(Fingerprint(kept.fingerprints[row * _NAME : (row + 1) * _NAME]))
            is_wanted = place != NOWHERE and self._number_at(place) == _FREE
            if kept.vectors is not None:
                if is_wanted:
                    self.add(place, kept.scope, kept.vectors[row].astype(np.float32))
            elif is_wanted:
                self._know(place, number)
            else:
                self._scopes.remove(kept.scope, number)
            if row % _AT_ONCE == 0:
                yield
                if kept.index is not None and not self._scopes.holds(kept.scope, kept.index):
                    return  # the scope had to go meanwhile

    def nearest(self, asked: Asked, vector: Vector, threshold: float, live: Callable[[int], Entry | None]) -> Near:
        """The best entry of the scope for the request; `live` gives an entry that may be served, or None."""
        rows, near = [], []
        refused: Near | None = None
        # Most look-ups find nothing near: taking the query apart waits until there is something.
        query: Prepared | None = None
        for entry, similarity in islice(self._living(asked, vector, live), NEIGHBOURS):
            query = query or self._prepared(last_text(asked.canonical))
            other = self._prepared(last_text(entry.canonical))
            rule = veto(query.wording, other.wording)
            if rule is None:
                rows.append(features(query, other, similarity))
                near.append((entry, similarity))
            elif refused is None:
                refused = Near("vetoed", entry, similarity, veto=rule)
        if not rows:
            return refused or _NOTHING
        confidences = self._verifier.confidence(rows)
        best = int(confidences.argmax())
        entry, similarity = near[best]
        if confidences[best] >= threshold:
            return Near("hit", entry, similarity, float(confidences[best]))
        if refused is not None and refused.similarity > similarity:
            return refused
        return Near("below", entry, similarity, float(confidences[best]))

    def _living(
        self, asked: Asked, vector: Vector, live: Callable[[int], Entry | None]
    ) -> Iterator[tuple[Entry, float]]:
        scope = scope_part(asked.canonical)
        for number, similarity in self._scopes.search(asked.scope, vector, _SEARCHED):
            if similarity < FLOOR:
                return
            place = self._places[number]
            entry = None if place == _FREE else live(place)
            # Whatever an index says: an answer never leaves its scope.
            if entry is not None and entry.canonical.startswith(scope):
                yield entry, similarity
