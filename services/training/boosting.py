"""Fits boosted trees with LightGBM and turns them into the plain arrays that the router evaluates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from services.router.quality.trees import MOST_LEAVES, Forest

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
_PARAMETERS: Mapping[str, Any] = {
    "objective": "regression",
    "num_leaves": MOST_LEAVES,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 1,
    "verbose": -1,
}


def fitted(rows: Rows, target: Floats, trees: int) -> lightgbm.Booster:
    """Trees for one target [n]; rows where it is NaN are left out."""
    known = ~np.isnan(target)
    return lightgbm.train(dict(_PARAMETERS), lightgbm.Dataset(rows[known], target[known]), trees)


def foretold(rows: Rows, targets: Floats, trees: int, of: Rows) -> Floats:
    """Predictions [of, k] of trees that were fitted on `rows` for `targets` [n, k]."""
    columns = [np.asarray(fitted(rows, target, trees).predict(of), np.float64) for target in targets.T]
    return np.stack(columns, axis=1)


def arrays(models: Sequence[lightgbm.Booster]) -> Forest:
    """The trees of one model per output, in the form that the router evaluates."""
    by_output = [[info["tree_structure"] for info in model.dump_model()["tree_info"]] for model in models]
    trees = [tree for output in by_output for tree in output]
    shape = (MOST_LEAVES - 1, len(trees))
    features, limits = np.zeros(shape, np.int64), np.full(shape, np.inf, np.float32)
    keeps, values = np.full(shape, 0xFF, np.uint8), np.zeros((len(trees), MOST_LEAVES), np.float32)
    for number, tree in enumerate(trees):
        splits: list[tuple[int, float, int]] = []
        leaves: list[float] = []
        _walk(tree, splits, leaves)
        values[number, : len(leaves)] = leaves
        for place, (feature, limit, struck) in enumerate(splits):
            features[place, number], limits[place, number] = feature, _below(limit)
            keeps[place, number] = 0xFF ^ struck
    firsts = np.cumsum([0, *(len(output) for output in by_output[:-1])])
    return Forest(features, limits, keeps, values, firsts.astype(np.int64))


def _walk(node: Mapping[str, Any], splits: list[tuple[int, float, int]], leaves: list[float]) -> None:
    """Leaves from left to right; of each split the bits of the leaves on its left."""
    if "leaf_value" in node:
        leaves.append(float(node["leaf_value"]))
        return
    first = len(leaves)
    _walk(node["left_child"], splits, leaves)
    struck = sum(1 << leaf for leaf in range(first, len(leaves)))
    splits.append((int(node["split_feature"]), float(node["threshold"]), struck))
    _walk(node["right_child"], splits, leaves)


def _below(limit: float) -> np.float32:
    """The largest 32-bit number that is not above: the same numbers pass."""
    near = np.float32(limit)
    return near if float(near) <= limit else np.nextafter(near, np.float32(-np.inf))
