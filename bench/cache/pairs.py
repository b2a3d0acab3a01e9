"""Labelled pairs of prompts, and the stream that is made of them (handbook/cache.md, section 3). No services here.

A stream puts texts into a cache once, and then looks texts up; a hit is true where the query's own source says that the
two may share an answer. Pairs are never judged one by one: a rule that knows near-misses can be blind on a stream.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

# Sources whose positives form groups: everything that y=1 rows connect.
GROUPED = ("qqp", "lcquad")
# Paraphrases that people wrote; the others are near-misses made by templates.
NATURAL = ("qqp", "lcquad", "mrpc")
# Texts that may be part of what ships.
SHIPPABLE = ("checklist", "gptcache-mock", "gsc-banking", "gsc-finance")
_PAIRED = ("gsc-banking", "gsc-finance")
_QQP_ROWS, _MRPC_ROWS, _ROWS_PER_KIND = 5_500, 500, 60
_UNSEEN_SHARE, _TRAIN_SHARE = 1 / 3, 1 / 2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two prompts; `same`: the answer of one may be given to the other."""

    a: str
    b: str
    same: bool
    source: str
    kind: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """One query of a stream. `group` is equal for queries that must not be split between fitting and judging."""

    source: str
    kind: str
    query: str
    group: str


class Stream:
    """What is cached, what is looked up, and which hits are true."""

    def __init__(self, pairs: Sequence[Pair], *, whole: bool = False) -> None:
        """`whole`: every row, not only the first ones of each source; for fitting."""
        self.groups = {source: Groups(pairs, source) for source in GROUPED}
        self._same = {(p.a, p.b) for p in pairs if p.same} | {(p.b, p.a) for p in pairs if p.same}
        self._other = {(p.a, p.b) for p in pairs if not p.same} | {(p.b, p.a) for p in pairs if not p.same}
        chosen, cached = _rows(pairs, whole=whole)
        self.cached = list(dict.fromkeys(cached))
        self.look_ups = [LookUp(p.source, p.kind, p.b, self._group(p)) for p in chosen]
        self._cached_groups = {
            source: {groups.of(text) for text in self.cached} - {None} for source, groups in self.groups.items()
        }
        self._has_same = {(p.source, p.b) for p in chosen if p.same}

    def is_true(self, source: str, query: str, matched: str) -> bool:
        """Whether the hit is true, by the rule of the query's source."""
        if query.lower() == matched.lower():
            return True
        if source in GROUPED:
            group = self.groups[source].of(query)
            if group is None or group != self.groups[source].of(matched):
                return False
            return source != "qqp" or (query, matched) not in self._other
        return (query, matched) in self._same

    def has_paraphrase(self, look_up: LookUp) -> bool:
        """Whether something is cached that would be a true hit."""
        if look_up.source in GROUPED:
            return self.groups[look_up.source].of(look_up.query) in self._cached_groups[look_up.source]
        return (look_up.source, look_up.query) in self._has_same

    def _group(self, pair: Pair) -> str:
        if pair.source in GROUPED:
            return f"{pair.source} {self.groups[pair.source].of(pair.b)}"
        return f"{pair.source} {pair.a}"


class Groups:
    """Connected components of one source's texts over its y=1 rows."""

    def __init__(self, pairs: Iterable[Pair], source: str) -> None:
        self._parents: dict[str, str] = {}
        for pair in pairs:
            if pair.source == source:
                first, second = self._root(pair.a), self._root(pair.b)
                if pair.same and first != second:
                    self._parents[max(first, second)] = min(first, second)

    def of(self, text: str) -> str | None:
        """The group's name: one of its texts; None for a text that the source does not have."""
        return self._root(text) if text in self._parents else None

    def _root(self, text: str) -> str:
        self._parents.setdefault(text, text)
        while self._parents[text] != text:
            self._parents[text] = self._parents[self._parents[text]]
            text = self._parents[text]
        return text


def read(path: Path) -> list[Pair]:
    """The pairs of a file: gzip, one object per line with a, b, y, src, kind."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Pair(row["a"], row["b"], row["y"] == 1, row["src"], row["kind"]) for row in rows]


def inner_split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """(to fit on, to judge by) of one file: groups stay whole, and a third of the CheckList kinds is only judged by."""
    groups = {source: Groups(pairs, source) for source in GROUPED}
    unseen = _unseen_kinds(pairs)
    fit: list[Pair] = []
    judge: list[Pair] = []
    for pair in pairs:
        if pair.source in GROUPED:
            sides = {_share(f"group {groups[pair.source].of(text)}") < _TRAIN_SHARE for text in (pair.a, pair.b)}
            if len(sides) == 2:
                continue  # a row between two groups that went different ways
            (fit if sides.pop() else judge).append(pair)
        elif pair.source == "checklist" and pair.kind in unseen:
            judge.append(pair)
        else:
            (fit if _share(f"pair {pair.a} {pair.b}") < _TRAIN_SHARE else judge).append(pair)
    return fit, judge


def _unseen_kinds(pairs: Sequence[Pair]) -> set[str]:
    """A third of the CheckList kinds that have right answers, and a third of those that have none, by their hash."""
    kinds = {pair.kind for pair in pairs if pair.source == "checklist"}
    with_right = {pair.kind for pair in pairs if pair.source == "checklist" and pair.same}
    unseen: set[str] = set()
    for group in (with_right, kinds - with_right):
        unseen.update(sorted(group, key=lambda kind: digest(f"kind {kind}"))[: ceil(len(group) * _UNSEEN_SHARE)])
    return unseen


def digest(text: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _share(text: str) -> float:
    return int(digest(text)[:8], 16) / 2**32


def _rows(pairs: Sequence[Pair], *, whole: bool) -> tuple[list[Pair], list[str]]:
    """The rows that are looked up, and the texts that are cached."""
    by_source: dict[str, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: digest(f"{pair.a}\n{pair.b}")):
        by_source[pair.source].append(pair)
    lcquad = [pair for pair in by_source["lcquad"] if pair.kind == "lcquad-para"]
    cached_of_lcquad = lcquad[: len(lcquad) // 2]
    kinds: Counter[str] = Counter()
    checklist = []
    for pair in by_source["checklist"]:
        kinds[pair.kind] += 1
        if whole or kinds[pair.kind] <= _ROWS_PER_KIND:
            checklist.append(pair)
    others = [
        *by_source["qqp"][: None if whole else _QQP_ROWS],
        *checklist,
        *(pair for source in _PAIRED for pair in by_source[source]),
        *by_source["mrpc"][: None if whole else _MRPC_ROWS],
    ]
    return [*others, *lcquad], [pair.a for pair in (*others, *cached_of_lcquad)]
