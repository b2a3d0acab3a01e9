"""The semantic level: which kept answer was given to a request of the same meaning? No I/O, no clock of its own.

    nearest entries of the scope -> those that live -> hard rules (veto.py) -> verifier -> threshold of the budget

Every outcome says why it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

import numpy as np

from services.cache.entry import Entry
from services.cache.features import Prepared, features, prepare
from services.cache.fingerprint import Asked, Fingerprint, last_text
from services.cache.index import KeptIndex
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
    """Vectors of kept entries, and the decision over them."""

    def __init__(self, scopes: Scopes, verifier: Verifier, words: WordVectors) -> None:
        self._scopes = scopes
        self._verifier = verifier
        self._numbers: dict[Fingerprint, int] = {}
        # By number; numbers that are free again are given out first, so that both stay short.
        self._names: list[Fingerprint | None] = []
        self._scope_of: list[bytes] = []
        self._free: list[int] = []

        @lru_cache(maxsize=_MOST_PREPARED)
        def prepared(text: str) -> Prepared:
            return prepare(text, words)

        self._prepared = prepared

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, asked: Asked, vector: Vector) -> None:
        """Have the entry of this request found by its meaning. Where it is there already, it stays."""
        if asked.fingerprint in self._numbers:
            return
        if self._free:
            number = self._free.pop()
            self._names[number], self._scope_of[number] = asked.fingerprint, asked.scope
        else:
            number = len(self._names)
            self._names.append(asked.fingerprint)
            self._scope_of.append(asked.scope)
        self._numbers[asked.fingerprint] = number
        for gone in self._scopes.add(asked.scope, number, vector):
            self._let_go(gone)

    def remove(self, fingerprint: Fingerprint) -> None:
        """Forget the entry's vector, where there is one."""
        number = self._numbers.get(fingerprint)
        if number is not None:
            self._scopes.remove(self._scope_of[number], number)
            self._let_go(number)

    def _let_go(self, number: int) -> None:
        name, self._names[number], self._scope_of[number] = self._names[number], None, b""
        self._free.append(number)
        if name is not None:
            del self._numbers[name]

    def dump(self) -> list[ScopeVectors]:
        """All vectors there are, for a snapshot. Lists come as they are: to be written before they change."""
        made = []
        for scope, index, trained_on in self._scopes.held():
            if isinstance(index, KeptIndex):
                numbers, vectors, kept = index.numbers(), None, index
            else:
                listed, rows = index.rows()
                numbers, vectors, kept = np.array(listed, np.int64), rows.astype(np.float16), None
            names = b"".join([self._names[number] or b"" for number in numbers.tolist()])
            made.append(ScopeVectors(scope, numbers, names, vectors, kept, trained_on))
        return made

    def after(self, scopes: list[ScopeVectors]) -> None:
        """Give out no number that one of these scopes has: before any of them is taken."""
        highest = max((int(kept.numbers.max(initial=-1)) for kept in scopes), default=-1)
        missing = highest + 1 - len(self._names)
        self._names += [None] * missing
        self._scope_of += [b""] * missing
        self._free.clear()

    def taken(self) -> None:
        """All of them are taken: what none of them has may be given out."""
        self._free = [number for number, name in enumerate(self._names) if name is None]

    def take(self, kept: ScopeVectors, is_wanted: Callable[[Fingerprint], bool]) -> Iterator[None]:
        """Take up a scope of a snapshot, as far as it is still wanted, a few vectors per step of the iterator."""
        numbers: dict[Fingerprint, int] = {}
        gone = []
        for place, number in enumerate(kept.numbers.tolist()):
            name = Fingerprint(kept.fingerprints[place * _NAME : (place + 1) * _NAME])
            if name in self._numbers or not is_wanted(name):
                gone.append(number)
            elif kept.vectors is not None:
                self.add(Asked(b"", kept.scope, name), kept.vectors[place].astype(np.float32))
            else:
                numbers[name] = number
            if place % _AT_ONCE == 0:
                yield
        if kept.index is None:
            return
        # Stored anew meanwhile: that vector stays, and this one goes.
        gone += [numbers.pop(name) for name in numbers.keys() & self._numbers.keys()]
        for number in gone:
            kept.index.remove(number)
        self._numbers.update(numbers)
        for name, number in numbers.items():
            self._names[number], self._scope_of[number] = name, kept.scope
        self._scopes.take_index(kept.scope, kept.index, kept.trained_on)

    def nearest(
        self, asked: Asked, vector: Vector, threshold: float, live: Callable[[Fingerprint], Entry | None]
    ) -> Near:
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
        self, asked: Asked, vector: Vector, live: Callable[[Fingerprint], Entry | None]
    ) -> Iterator[tuple[Entry, float]]:
        for number, similarity in self._scopes.search(asked.scope, vector, _SEARCHED):
            if similarity < FLOOR:
                return
            fingerprint = self._names[number]
            if fingerprint is not None and (entry := live(fingerprint)) is not None:
                yield entry, similarity
