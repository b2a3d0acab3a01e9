"""What every index of vectors promises; numpy over a dict is the oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from services.cache.faiss_index import FlatIndex, ListsIndex
from services.cache.index import ScanIndex, VectorIndex
from services.embedding.embedder import Vector

DIMENSION = 24


def lists(dimension: int) -> VectorIndex:
    """Lists that were trained on vectors which are gone."""
    chance = np.random.default_rng(9)
    vectors = unit(chance, 300)
    index = ListsIndex.trained(len(vectors), vectors)
    index.add_all(np.arange(10_000, 10_300), vectors)
    for number in range(10_000, 10_300):
        index.remove(number)
    return index


def unit(chance: np.random.Generator, count: int) -> Vector:
    vectors = chance.standard_normal((count, DIMENSION)).astype(np.float32)
    made: Vector = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


KINDS: list[tuple[Callable[[int], VectorIndex], float]] = [(ScanIndex, 1e-5), (FlatIndex, 1e-5), (lists, 0.02)]


@pytest.mark.parametrize(("kind", "tolerance"), KINDS, ids=["scan", "flat", "lists"])
def test_an_index_finds_what_brute_force_finds_through_additions_and_removals(
    kind: Callable[[int], VectorIndex], tolerance: float
):
    chance = np.random.default_rng(1)
    index, known = kind(DIMENSION), {}
    for number, vector in enumerate(unit(chance, 200)):
        index.add(number, vector)
        known[number] = vector
        if number % 3 == 0:
            gone = int(chance.choice(list(known)))
            index.remove(gone)
            del known[gone]
    assert len(index) == len(known)
    for query in unit(chance, 20):
        near = known[int(chance.choice(list(known)))]
        asked = near + 0.1 * query
        asked /= np.linalg.norm(asked)
        found = index.search(asked.astype(np.float32), 3)
        best = max(known, key=lambda number: float(known[number] @ asked))
        assert found[0][0] == best
        assert found[0][1] == pytest.approx(float(known[best] @ asked), abs=tolerance)
        assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    numbers = index.numbers()
    assert sorted(numbers.tolist()) == sorted(known)
    np.testing.assert_allclose(index.vectors(numbers), [known[number] for number in numbers.tolist()], atol=tolerance)
    few = np.array(sorted(known)[-3:], np.int64)
    np.testing.assert_allclose(index.vectors(few), [known[number] for number in few.tolist()], atol=tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), KINDS, ids=["scan", "flat", "lists"])
def test_an_empty_index_finds_nothing_and_a_short_one_what_it_has(kind: Callable[[int], VectorIndex], tolerance: float):
    index = kind(DIMENSION)
    (vector,) = unit(np.random.default_rng(2), 1)
    assert index.search(vector, 5) == []
    assert index.vectors(index.numbers()).shape == (0, DIMENSION)
    index.add(7, vector)
    assert [number for number, _ in index.search(vector, 5)] == [7]
    index.remove(7)
    assert index.search(vector, 5) == []
