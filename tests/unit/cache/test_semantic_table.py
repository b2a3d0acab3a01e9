"""The table of vectors: whole while a snapshot is taken up, and deaf to an index that names another scope's entry."""

from __future__ import annotations

import numpy as np
import pytest

from services.cache import semantic
from services.cache.embedding import Model
from services.cache.entry import Entry
from services.cache.faiss_index import ListsIndex
from services.cache.places import NOWHERE
from services.cache.scopes import Scopes
from services.cache.semantic import SemanticTable
from services.cache.snapshot import ScopeVectors
from services.embedding.embedder import Vector
from tests.unit.cache.isolation import any_near_text_serves
from tests.unit.cache.samples import entry

ENTRIES = [entry(f"How do I open door {number}?") for number in range(40)]
SCOPE = ENTRIES[0].asked().scope


@pytest.fixture(scope="module")
def model() -> Model:
    return any_near_text_serves()


def made(model: Model, most: int = 100) -> tuple[SemanticTable, Scopes]:
    scopes = Scopes(model.embedder.dimension, train=lambda scope, index: None, most=most)
    return SemanticTable(scopes, model.verifier, model.words), scopes


def vectors(model: Model, count: int) -> Vector:
    random = np.random.default_rng(1).standard_normal((count, model.embedder.dimension)).astype(np.float32)
    unit: Vector = random / np.linalg.norm(random, axis=1, keepdims=True)
    return unit


def snapshot(rows: Vector) -> ScopeVectors:
    """The entries' vectors in lists, under numbers from 0 on."""
    numbers = np.arange(len(rows))
    lists = ListsIndex.trained(len(rows), rows)
    lists.add_all(numbers, rows)
    return ScopeVectors(SCOPE, numbers, b"".join(kept.fingerprint for kept in ENTRIES), index=lists, trained_on=40)


def nearest(table: SemanticTable, asked: Entry, vector: Vector, at: dict[int, Entry]) -> Entry | None:
    return table.nearest(asked.asked(), vector, 0.0, at.get).entry


def test_entries_may_come_and_go_while_a_snapshot_is_taken_up(model: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(semantic, "_AT_ONCE", 1)
    (table, _), rows = made(model), vectors(model, 43)
    places = {kept.fingerprint: place for place, kept in enumerate(ENTRIES)}
    at = dict(enumerate(ENTRIES))
    kept = snapshot(rows[:40])
    table.after([kept])
    steps = table.take(kept, lambda name: places.get(name, NOWHERE))
    for _ in range(10):
        next(steps)
    table.remove(0, ENTRIES[0])  # it was taken up
    newer = entry("How do I open gate 0?")
    table.add(0, SCOPE, rows[40])  # and its place is another one's
    at[0] = newer
    del places[ENTRIES[30].fingerprint], at[30]  # it left before its turn
    table.add(35, SCOPE, rows[41])  # it was stored anew before its turn
    for _ in steps:
        pass
    table.taken()
    table.add(30, SCOPE, rows[42])
    at[30] = entry("How do I open gate 30?")
    assert len(table) == 40
    found = {place: nearest(table, newer, row, at) for place, row in enumerate(rows)}
    for place in (*range(1, 30), *range(31, 35), *range(36, 40)):
        assert found[place] == ENTRIES[place]
    assert (found[40], found[41], found[42]) == (newer, ENTRIES[35], at[30])
    assert found[0] is found[30] is found[35] is None


def test_a_scope_that_has_to_go_while_it_is_taken_up_is_gone(model: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(semantic, "_AT_ONCE", 1)
    (table, scopes), rows = made(model, most=1), vectors(model, 41)
    kept = snapshot(rows[:40])
    table.after([kept])
    places = {one.fingerprint: place for place, one in enumerate(ENTRIES)}
    steps = table.take(kept, lambda name: places.get(name, NOWHERE))
    next(steps)
    other = entry("q", tenant="b")
    table.add(50, other.asked().scope, rows[40])
    for _ in steps:
        pass
    table.taken()
    assert (len(table), len(scopes)) == (1, 1)
    assert nearest(table, other, rows[40], {50: other}) == other


def test_an_answer_never_leaves_its_scope_whatever_an_index_says(model: Model):
    (table, _), (row,) = made(model), vectors(model, 1)
    table.add(0, SCOPE, row)
    assert nearest(table, ENTRIES[1], row, {0: ENTRIES[0]}) == ENTRIES[0]
    assert nearest(table, ENTRIES[1], row, {0: entry("How do I open door 0?", tenant="b")}) is None
