"""Trees as arrays against the trees themselves, walked node by node."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.router.quality.trees import MOST_LEAVES, Forest, forest

WIDTH = 5


def grown(chance: np.random.Generator, leaves: int):
    """A random binary tree: a leaf is a number, a node (feature, limit, left, right)."""
    if leaves == 1:
        return float(chance.normal())
    left = int(chance.integers(1, leaves))
    return (
        int(chance.integers(WIDTH)),
        float(np.float32(chance.normal())),
        grown(chance, left),
        grown(chance, leaves - left),
    )


def walked(tree, row) -> float:
    while isinstance(tree, tuple):
        feature, limit, left, right = tree
        tree = left if row[feature] <= np.float32(limit) else right
    return float(np.float32(tree))


def arranged(trees, firsts) -> Forest:
    shape = (MOST_LEAVES - 1, len(trees))
    features, limits = np.zeros(shape, np.int64), np.full(shape, np.inf, np.float32)
    keeps, values = np.full(shape, 0xFF, np.uint8), np.zeros((len(trees), MOST_LEAVES), np.float32)
    for number, tree in enumerate(trees):
        splits: list[tuple[int, float, int]] = []
        leaves: list[float] = []

        def visit(node, splits=splits, leaves=leaves):
            if not isinstance(node, tuple):
                leaves.append(node)
                return
            first = len(leaves)
            visit(node[2])
            splits.append((node[0], node[1], sum(1 << leaf for leaf in range(first, len(leaves)))))
            visit(node[3])

        visit(tree)
        values[number, : len(leaves)] = leaves
        for place, (feature, limit, struck) in enumerate(splits):
            features[place, number], limits[place, number], keeps[place, number] = feature, limit, 0xFF ^ struck
    return Forest(features, limits, keeps, values, np.array(firsts, np.int64))


@given(some.integers(0, 10_000))
def test_scores_are_those_of_walking_every_tree(seed):
    chance = np.random.default_rng(seed)
    trees = [grown(chance, int(chance.integers(1, MOST_LEAVES + 1))) for _ in range(6)]
    row = chance.normal(size=WIDTH).astype(np.float32)
    scores = arranged(trees, [0, 4]).scores(row)
    assert scores == pytest.approx([sum(walked(tree, row) for tree in part) for part in (trees[:4], trees[4:])])


def test_arrays_come_back():
    made = arranged([grown(np.random.default_rng(1), 8)], [0])
    back = forest(made.arrays("x"), "x", WIDTH)
    row = np.zeros(WIDTH, np.float32)
    assert back.scores(row) == made.scores(row)


@pytest.mark.parametrize("broken", ["features", "values", "firsts"])
def test_arrays_that_do_not_fit_are_refused(broken):
    arrays = arranged([grown(np.random.default_rng(1), 8)], [0]).arrays("x")
    arrays[f"x_{broken}"] = {
        "features": np.full_like(arrays["x_features"], WIDTH),
        "values": np.full_like(arrays["x_values"], np.nan),
        "firsts": np.array([0, 9], np.int32),
    }[broken]
    with pytest.raises(ValueError, match="do not fit"):
        forest(arrays, "x", WIDTH)
