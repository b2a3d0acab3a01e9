"""Scopes: apart, bounded, and served without a gap while an index grows into the next kind."""

from __future__ import annotations

import numpy as np
import pytest

from services.cache import scopes as module
from services.cache.faiss_index import FlatIndex, ListsIndex
from services.cache.index import Numbers
from services.cache.scopes import FLAT_FROM, Scopes
from services.embedding.embedder import Vector

DIMENSION = 16


def vectors(count: int) -> Vector:
    made = np.random.default_rng(3).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Vector = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def move(scopes: Scopes, lists: ListsIndex, numbers: Numbers) -> None:
    rows = scopes.rows(b"a", scopes._scopes[b"a"].index, numbers)
    assert rows is not None
    lists.add_all(*rows)


def test_a_vector_of_another_scope_is_not_there():
    scopes = Scopes(DIMENSION, train=lambda scope, index: None)
    one, other = vectors(2)
    scopes.add(b"a", 1, one)
    scopes.add(b"b", 2, other)
    assert [number for number, _ in scopes.search(b"a", other, 5)] == [1]
    assert scopes.search(b"c", one, 5) == []
    scopes.remove(b"a", 1)
    assert scopes.search(b"a", one, 5) == []
    assert len(scopes) == 1


def test_beyond_the_bound_the_scope_that_was_searched_longest_ago_goes_and_says_what_went():
    scopes = Scopes(DIMENSION, train=lambda scope, index: None, most=2)
    made = vectors(4)
    scopes.add(b"a", 1, made[0])
    scopes.add(b"b", 2, made[1])
    scopes.search(b"a", made[0], 1)
    assert scopes.add(b"c", 3, made[2]) == [2]
    assert scopes.search(b"b", made[1], 1) == []


def test_a_growing_scope_goes_from_scan_to_flat_to_lists_and_finds_all_the_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LISTS_FROM", 400)
    wanted: list[bytes] = []
    scopes = Scopes(DIMENSION, train=lambda scope, index: wanted.append(scope))
    made = vectors(460)
    for number in range(400):
        scopes.add(b"a", number, made[number])
        assert scopes.search(b"a", made[number], 1)[0][0] == number
        if number == FLAT_FROM:
            assert isinstance(scopes._scopes[b"a"].index, FlatIndex)
    assert wanted == [b"a"]
    numbers = np.arange(400)
    trained = ListsIndex.trained(400, made[:400])
    move(scopes, trained, numbers[:200])
    # Meanwhile the scope changes, and a number is used again for another vector.
    for number in range(400, 450):
        scopes.add(b"a", number, made[number])
    for number in (*range(20), 399):
        scopes.remove(b"a", number)
    scopes.add(b"a", 399, made[450])
    move(scopes, trained, numbers[200:])
    scopes.take_lists(b"a", trained)
    assert scopes.search(b"a", made[450], 1)[0][0] == 399
    assert len(trained) == 430
    assert isinstance(scopes._scopes[b"a"].index, ListsIndex)
    assert len(wanted) == 1
    found = {scopes.search(b"a", made[number], 1)[0][0] for number in range(20, 450) if number != 399}
    assert found == set(range(20, 450)) - {399}
    assert all(number != found for number in range(20) for found, _ in scopes.search(b"a", made[number], 3))


def test_training_that_failed_or_came_too_late_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LISTS_FROM", 300)
    wanted: list[bytes] = []
    scopes = Scopes(DIMENSION, train=lambda scope, index: wanted.append(scope))
    made = vectors(302)
    for number in range(300):
        scopes.add(b"a", number, made[number])
    scopes.take_lists(b"a", None)
    scopes.add(b"a", 300, made[300])
    assert len(wanted) == 2
    for number in range(301):
        scopes.remove(b"a", number)
    assert scopes.rows(b"a", FlatIndex(DIMENSION), np.arange(301)) is None
    scopes.take_lists(b"a", ListsIndex.trained(301, made))
    assert scopes.search(b"a", made[0], 1) == []
