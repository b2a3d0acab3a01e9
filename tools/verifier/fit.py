"""Fits the trees, turns them into arrays, and finds the threshold of each false-hit budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from bench.cache.pairs import LookUp
from services.cache.verifier import MOST_LEAVES, Verifier
from tools.verifier.lessons import Lessons

BUDGETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02)
# The mean of several draws: which sentences pass depends less on the dice of one.
_SEEDS, _TREES = (1, 2, 3, 4), 100
_PARAMETERS = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
# A false hit weighs as much as two true ones, and a source by the root of its rows: no style of pairs may rule.
_FALSE_WEIGHT = 2.0
_FOLDS = 4
# So many of the near-misses that come will be of a pattern that was never learned.
_UNSEEN_SHARE = 1 / 3
_NOISY = "qqp"
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Margin:
    """Which share of the budget false hits may take here."""

    all: float = 0.75
    exact: float = 0.5


def fitted(learn: Sequence[Lessons], judge: Lessons, margin: Margin) -> Verifier:
    """Trees of all the lessons; thresholds from `judge`, whose look-ups are scored by trees that saw nothing of theirs.

    `judge` is part of learn[0], or learn[0] itself.
    """
    trees = _trees(learn, [np.ones(len(lessons.of), bool) for lessons in learn])
    empty = np.zeros(0)
    verifier = arrays(trees, empty, empty)
    # Folds by meaning judge what was learned; folds by pattern judge what was not.
    seen, unseen = (_out_of_fold(learn, judge, key) for key in (_by_group, _by_kind))
    thresholds = [_threshold(judge, seen, unseen, budget, margin) for budget in BUDGETS]
    # No budget needs more certainty than a smaller one.
    falling = np.minimum.accumulate(np.array(thresholds))
    return replace(verifier, budgets=np.array(BUDGETS), thresholds=falling)


def arrays(models: Sequence[lightgbm.Booster], budgets: Scores, thresholds: Scores) -> Verifier:
    """The trees of the models, whose mean counts, in the form that the service evaluates."""
    trees = [info["tree_structure"] for model in models for info in model.dump_model()["tree_info"]]
    shape = (len(trees), MOST_LEAVES - 1)
    features = np.zeros(shape, np.int64)
    limits = np.full(shape, np.inf, np.float32)
    keeps = np.full(shape, 0xFFFFFFFF, np.uint32)
    values = np.zeros((len(trees), MOST_LEAVES), np.float32)
    for number, tree in enumerate(trees):
        splits: list[tuple[int, float, int]] = []
        leaves: list[float] = []
        _walk(tree, splits, leaves)
        values[number, : len(leaves)] = np.array(leaves) / len(models)
        for place, (feature, limit, struck) in enumerate(splits):
            features[number, place], limits[number, place] = feature, _below(limit)
            keeps[number, place] = 0xFFFFFFFF ^ struck
    # By split: what is done for all trees at once then runs over neighbours in memory.
    turned = np.ascontiguousarray(features.T), np.ascontiguousarray(limits.T), np.ascontiguousarray(keeps.T)
    return Verifier(*turned, values, budgets, thresholds)


def _walk(node: dict[str, Any], splits: list[tuple[int, float, int]], leaves: list[float]) -> None:
    """Leaves from left to right; of each split the bits of the leaves on its left."""
    if "leaf_value" in node:
        leaves.append(node["leaf_value"])
        return
    first = len(leaves)
    _walk(node["left_child"], splits, leaves)
    struck = sum(1 << leaf for leaf in range(first, len(leaves)))
    splits.append((node["split_feature"], node["threshold"], struck))
    _walk(node["right_child"], splits, leaves)


def _below(limit: float) -> np.float32:
    """The largest 32-bit number that is not above: the same numbers pass."""
    near = np.float32(limit)
    return near if float(near) <= limit else np.nextafter(near, np.float32(-np.inf))


def _trees(learn: Sequence[Lessons], masks: Sequence[npt.NDArray[np.bool_]]) -> list[lightgbm.Booster]:
    """`masks` choose the rows of each lessons."""
    rows = np.concatenate([lessons.rows[chosen] for lessons, chosen in zip(learn, masks, strict=True)])
    same = np.concatenate([lessons.same[chosen] for lessons, chosen in zip(learn, masks, strict=True)])
    sources = np.concatenate([lessons.sources()[chosen] for lessons, chosen in zip(learn, masks, strict=True)])
    weights = np.where(same, 1.0, _FALSE_WEIGHT)
    names, counts = np.unique(sources, return_counts=True)
    for name, count in zip(names, counts, strict=True):
        weights[sources == name] *= (len(sources) / len(names) / count) ** 0.5
    return [
        lightgbm.train({**_PARAMETERS, "seed": seed}, lightgbm.Dataset(rows, same, weight=weights), _TREES)
        for seed in _SEEDS
    ]


def _by_group(look_up: LookUp) -> str:
    return look_up.group


def _by_kind(look_up: LookUp) -> str:
    return look_up.kind if look_up.source == "checklist" else look_up.group


def _out_of_fold(learn: Sequence[Lessons], judge: Lessons, key: Callable[[LookUp], str]) -> Scores:
    learned, judged = [lessons.folds(key, _FOLDS) for lessons in learn], judge.folds(key, _FOLDS)
    scores = np.zeros(len(judge.of))
    for fold in range(_FOLDS):
        models = _trees(learn, [folds != fold for folds in learned])
        rows = judge.rows[judged == fold]
        odds = np.mean([model.predict(rows, raw_score=True) for model in models], axis=0)
        scores[judged == fold] = 1 / (1 + np.exp(-odds))
    return scores


def _threshold(judge: Lessons, seen: Scores, unseen: Scores, budget: float, margin: Margin) -> float:
    """The loosest threshold that keeps false hits within the budget's margin."""
    best_seen, best_unseen = judge.best(seen), judge.best(unseen)
    best = np.concatenate([best_seen[0], best_unseen[0]])
    false = ~np.concatenate([best_seen[1], best_unseen[1]])
    share = np.repeat([1 - _UNSEEN_SHARE, _UNSEEN_SHARE], len(judge.look_ups))
    exact = np.tile([look_up.source != _NOISY for look_up in judge.look_ups], 2)
    order = np.argsort(-best, kind="stable")
    wrong = (share * false)[order]
    over_all = np.cumsum(wrong) / share.sum()
    over_exact = np.cumsum(wrong * exact[order]) / (share * exact).sum()
    fits = (over_all <= budget * margin.all) & (over_exact <= budget * margin.exact)
    if not fits.any():
        return 1.01
    return float(min(1.0, best[order][np.flatnonzero(fits)[-1]]))
