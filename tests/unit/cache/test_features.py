"""Features: finite for any two texts, and the same either way round."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cache.features import NAMES, features, prepare
from services.embedding.shared import word_vectors

WORDS = ["how", "do", "i", "not", "before", "after", "12", "Paris", "she", "and", "or", "the,", "reset?", "☕"]
TEXTS = st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join)
# Reading from the other side, neighbours are others and weights are those of the other words.
ONE_SIDED = (
    "order inversions",
    "order inversions of content words",
    "roles reversed",
    "matched weight",
    "unmatched share of weight",
)


@settings(max_examples=150)
@given(TEXTS, TEXTS)
def test_any_two_texts_have_finite_features_that_do_not_depend_on_which_comes_first(one: str, other: str):
    words = word_vectors()
    row = features(prepare(one, words), prepare(other, words), 0.9)
    back = features(prepare(other, words), prepare(one, words), 0.9)
    assert row.shape == (len(NAMES),)
    assert np.isfinite(row).all()
    symmetric = [number for number, name in enumerate(NAMES) if name not in ONE_SIDED]
    np.testing.assert_allclose(row[symmetric], back[symmetric], atol=1e-4)


def test_a_text_beside_itself_differs_in_nothing():
    words = word_vectors()
    same = prepare("How do I reset my password in 3 steps?", words)
    row = dict(zip(NAMES, features(same, same, 1.0).tolist(), strict=True))
    assert row["words in common"] == row["content words in common"] == row["numbers equal"] == 1
    assert row["unmatched weight, sum"] == row["opposites"] == row["order inversions"] == row["roles reversed"] == 0
    assert row["alignment, worst"] > 0.99


def test_a_very_long_text_is_taken_apart_in_bounds():
    long = prepare("word " * 3_000, word_vectors())
    assert len(long.vectors) == len(long.weights) == 512
    assert np.isfinite(features(long, long, 1.0)).all()
