"""Vectors are the same each time, of length one, and begin alike for every number of dimensions."""

from __future__ import annotations

import math

import pytest

from services.simulator.vectors import vector


@pytest.mark.parametrize("dimensions", [1, 2, 512, 1536])
def test_every_vector_has_length_one(dimensions):
    made = vector("hello", "m", 1536, dimensions)
    assert len(made) == dimensions
    assert math.isclose(sum(value * value for value in made), 1.0, rel_tol=1e-5)


def test_equal_texts_have_equal_vectors_and_others_are_far():
    first, again = vector("hello", "m", 1536, 1536), vector("hello", "m", 1536, 1536)
    assert first == again
    for other in (vector("hello!", "m", 1536, 1536), vector("hello", "n", 1536, 1536)):
        assert abs(sum(a * b for a, b in zip(first, other, strict=True))) < 0.2


def test_a_shorter_vector_is_the_beginning_of_the_whole_one():
    whole, short = vector("hello", "m", 1536, 1536), vector("hello", "m", 1536, 8)
    stretched = math.sqrt(sum(value * value for value in whole[:8]))
    assert all(math.isclose(a / stretched, b, rel_tol=1e-5) for a, b in zip(whole[:8], short, strict=True))


def test_a_vector_is_known_in_advance_and_never_changes():
    # Written down once: another value means that old runs can no longer be compared.
    assert [round(value, 4) for value in vector("hello", "text-embedding-3-small", 1536, 3)] == [0.0421, 0.6839, 0.7283]
