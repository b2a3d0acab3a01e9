"""python -m bench.score_routing --train DIR --test DIR FILE: the rows of a run of bench.routing, and what came of it.

Per set: AUC, ECE (debiased), AIQ, saving at 95, 99 and 100 % of the best single model's quality, and what the choices
saved and changed as deployed, against the best single model of the TRAINING rows, with paired bootstrap intervals. A
deployed saving counts only if the change of quality is -0.5 points or better and its interval reaches 0. A prompt
without a row gets quality 0 and the best model's cost. For two models (routellm): APGR, CPT50, CPT80.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyarrow import parquet

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]
# Of a set that records no costs: USD per token of the prompt (RouteLLM, section 5.4).
PER_TOKEN_USD = {"mixtral": 0.24e-6, "gpt4": 24.7e-6}
_RATES = np.concatenate(([0.0], np.geomspace(1e-2, 1e6, 120)))
_POINTS, _BINS, _DRAWS, _RESAMPLES = 2_000, 10, 20, 1_000
_COUNTS_FROM = -0.005


def held_out(row_id: str, split: int = 0) -> bool:
    """Whether the inner split of this number keeps the row for the test: one of five."""
    text = f"{split}/{row_id}" if split else row_id
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % 5 == 0


@dataclass(frozen=True, slots=True)
class Truth:
    """n prompts and m models; `best` is the place of the best single model, chosen on training rows."""

    ids: tuple[str, ...]
    models: tuple[str, ...]
    quality: Floats
    usd: Floats
    best: int


def truths(train: Path, test: Path, name: str, split: int = 0) -> dict[str, Truth]:
    """What came of the test prompts, per data set where a file has several of two models, else under the set's name."""
    inner = train == test
    learned = _read(train, name, lambda row_id: not (inner and held_out(row_id, split)))
    judged = _read(test, name, lambda row_id: not inner or held_out(row_id, split))
    models = tuple(column.removeprefix("q__") for column in learned[0] if column.startswith("q__"))
    sources = {row["dataset"] for row in judged} if len(models) == 2 else {None}
    found = {}
    for source in sorted(sources, key=str):
        before = [row for row in learned if source in (None, row["dataset"])]
        after = [row for row in judged if source in (None, row["dataset"])]
        means = np.array([[row[f"q__{model}"] for model in models] for row in before]).mean(axis=0)
        found[source or name] = Truth(
            tuple(row["id"] for row in after),
            models,
            np.array([[row[f"q__{model}"] for model in models] for row in after], float),
            np.array([[_usd(row, model) for model in models] for row in after], float),
            int(means.argmax()),
        )
    return found


def _read(folder: Path, name: str, wanted: Any) -> list[Row]:  # noqa: ANN401
    rows = parquet.read_table(folder / f"{name}.parquet").to_pylist()
    return [row for row in rows if not row.get("contaminated") and wanted(row["id"])]


def _usd(row: Row, model: str) -> float:
    usd = row.get(f"c__{model}")
    return float(usd) if usd is not None else PER_TOKEN_USD[model] * row["in_tok"]


def trade_off(score: Floats, quality: Floats) -> dict[str, float]:
    """APGR and CPT of a score for the stronger of two models; quality [n, (weak, strong)]."""
    order = np.argsort(-score, kind="stable")
    weak, strong = quality[order].T
    kept = np.concatenate(([0.0], np.cumsum(strong))) + weak.sum() - np.concatenate(([0.0], np.cumsum(weak)))
    accuracy, share = kept / len(order), np.arange(len(order) + 1) / len(order)
    low, span = accuracy[0], accuracy[-1] - accuracy[0]
    reached = {f: 100 * float(share[np.argmax(accuracy >= low + f * span - 1e-12)]) for f in (0.5, 0.8)}
    return {
        "apgr": float((np.trapezoid(accuracy, share) - low) / span),
        "cpt50": reached[0.5],
        "cpt80": reached[0.8],
    }


def hull(points: Floats) -> Floats:
    """The upper concave hull of (cost, quality) points, from cheap to dear."""
    found: list[tuple[float, float]] = []
    for cost, quality in sorted(map(tuple, points), key=lambda point: (point[0], -point[1])):
        if found and quality <= found[-1][1]:
            continue
        while len(found) > 1 and _below(found[-2], found[-1], (cost, quality)):
            found.pop()
        found.append((cost, quality))
    return np.array(found)


def _below(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    rise = (middle[1] - first[1]) * (last[0] - first[0])
    return rise <= (last[1] - first[1]) * (middle[0] - first[0])


def area(points: Floats, usd: Floats) -> float:
    """AIQ: the mean height of the hull between the mean costs of the cheapest and the dearest model."""
    edge, means = hull(points), usd.mean(axis=0)
    at = np.linspace(means.min(), means.max(), _POINTS)
    height = np.interp(at, edge[:, 0], edge[:, 1])
    height[at < edge[0, 0]] = 0.0
    return float(np.trapezoid(height, at) / (means.max() - means.min()))


def saved_at(points: Floats, share: float, quality: float, usd: float) -> float | None:
    """1 - cost of the hull where it reaches that share of the best model's quality / its cost; None: never."""
    edge = hull(points)
    wanted = share * quality
    if edge[-1, 1] < wanted:
        return None
    at = int(np.argmax(edge[:, 1] >= wanted))
    if at == 0:
        return float(1 - edge[0, 0] / usd)
    (low, bottom), (high, top) = edge[at - 1], edge[at]
    return float(1 - (low + (wanted - bottom) / (top - bottom) * (high - low)) / usd)


def curve(foretold: Floats, expected: Floats, truth: Truth) -> Floats:
    """(mean cost, mean quality) at every rate of exchange."""
    row = np.arange(len(foretold))
    points = []
    for rate in _RATES:
        place = (foretold - rate * expected).argmax(axis=1)
        points.append((truth.usd[row, place].mean(), truth.quality[row, place].mean()))
    return np.array(points)


def deployed(quality: Floats, usd: Floats, truth: Truth) -> dict[str, Any]:
    """What was saved, and how quality changed, with intervals; `counted`: the saving, or 0 where it does not count."""
    change, base = quality - truth.quality[:, truth.best], truth.usd[:, truth.best]
    chance = np.random.default_rng(7)
    draws = chance.integers(0, len(change), (_RESAMPLES, len(change)))
    changes, savings = change[draws].mean(axis=1), 1 - usd[draws].sum(axis=1) / base[draws].sum(axis=1)
    found: dict[str, Any] = {
        "dq": float(change.mean()),
        "dq_interval": [float(bound) for bound in np.percentile(changes, [2.5, 97.5])],
        "saving": float(1 - usd.sum() / base.sum()),
        "saving_interval": [float(bound) for bound in np.percentile(savings, [2.5, 97.5])],
    }
    counts = found["dq"] >= _COUNTS_FROM and found["dq_interval"][1] >= 0
    return {**found, "counted": found["saving"] if counts else 0.0}


def auc(foretold: Floats, quality: Floats) -> float:
    """Mean over the models of the area under the ROC."""
    found = []
    for score, good in zip(foretold.T, quality.T > 0.5, strict=True):
        if good.any() and not good.all():
            ordered = np.sort(score[~good])
            below = np.searchsorted(ordered, score[good], "left")
            upto = np.searchsorted(ordered, score[good], "right")
            found.append(float(((below + upto) / 2).mean() / len(ordered)))
    return float(np.mean(found)) if found else 0.5


def ece(foretold: Floats, quality: Floats) -> tuple[float, float]:
    """(mean over the models of the calibration error, the same less what chance alone would show)."""
    chance = np.random.default_rng(11)
    plain, excess = [], []
    for score, good in zip(foretold.T, quality.T, strict=True):
        found = _ece(score, good)
        drawn = [_ece(score, (chance.random(len(score)) < score).astype(float)) for _ in range(_DRAWS)]
        plain.append(found)
        excess.append(found - float(np.mean(drawn)))
    return float(np.mean(plain)), float(np.mean(excess))


def _ece(score: Floats, quality: Floats) -> float:
    place = np.clip((score * _BINS).astype(int), 0, _BINS - 1)
    return float(np.abs(np.bincount(place, score - quality, minlength=_BINS)).sum()) / len(score)


def scored(rows: Sequence[Row], truth: Truth) -> tuple[dict[str, Any], Floats]:
    """(the figures of one set and seed, the change of quality of each prompt as deployed)."""
    by_id = {row["id"]: row for row in rows}
    found = [by_id.get(row_id) for row_id in truth.ids]
    foretold = np.array([[_of(row, "p", model, 0.0) for model in truth.models] for row in found])
    expected = np.array([[_of(row, "c", model, np.inf) for model in truth.models] for row in found])
    expected[~np.isfinite(expected)] = 1e6
    plain, excess = ece(foretold, truth.quality)
    figures: dict[str, Any] = {
        "n": len(truth.ids),
        "missing": sum(row is None for row in found),
        "best": truth.models[truth.best],
        "auc": auc(foretold, truth.quality),
        "ece": plain,
        "ece_debiased": excess,
    }
    if len(truth.models) == 2:
        weak = 1 - truth.best
        order = [weak, truth.best]
        return figures | trade_off(foretold[:, truth.best] - foretold[:, weak], truth.quality[:, order]), np.zeros(0)
    points = curve(foretold, expected, truth)
    best = truth.quality[:, truth.best].mean(), truth.usd[:, truth.best].mean()
    singles = np.stack([truth.usd.mean(axis=0), truth.quality.mean(axis=0)], axis=1)
    figures |= {
        "aiq": area(points, truth.usd),
        "aiq_zero": area(singles, truth.usd),
        **{f"saved_at_{share:.0%}": saved_at(points, share, *best) for share in (0.95, 0.99, 1.0)},
        "choice": deployed(*_chosen(found, truth), truth),
    }
    quality, usd = _chosen(found, truth)
    if any(row is not None and row["cascade"] for row in found):
        quality, usd = _walked(found, truth)
        figures["cascade"] = deployed(quality, usd, truth)
    figures["counted"] = figures.get("cascade", figures["choice"])["counted"]
    return figures, quality - truth.quality[:, truth.best]


def _of(row: Row | None, field: str, model: str, missing: float) -> float:
    return missing if row is None else float(row[field].get(model, missing))


def _chosen(found: Sequence[Row | None], truth: Truth) -> tuple[Floats, Floats]:
    quality, usd = np.zeros(len(found)), truth.usd[:, truth.best].copy()
    for number, row in enumerate(found):
        if row is not None:
            place = truth.models.index(row["choice"])
            quality[number], usd[number] = truth.quality[number, place], truth.usd[number, place]
    return quality, usd


def _walked(found: Sequence[Row | None], truth: Truth) -> tuple[Floats, Floats]:
    """Every call of a cascade is paid for; a row without one is its choice."""
    quality, usd = _chosen(found, truth)
    for number, row in enumerate(found):
        if row is not None and row["cascade"]:
            calls = [truth.models.index(model) for model in row["cascade"]["calls"]]
            served = truth.models.index(row["cascade"]["answer"])
            if served not in calls:
                raise ValueError(f"{row['id']}: serves the answer of a model that it did not call")
            quality[number], usd[number] = truth.quality[number, served], truth.usd[number, calls].sum()
    return quality, usd


def figures(rows: Sequence[Row], train: Path, test: Path, split: int = 0) -> dict[str, Any]:
    """The object of the last line: figures per set, their mean over the seeds for two models; macro and pooled."""
    sets: dict[str, Any] = {}
    changes: list[Floats] = []
    for name in sorted({row["set"] for row in rows}):
        own = [row for row in rows if row["set"] == name]
        for source, truth in truths(train, test, name, split).items():
            by_seed = [
                scored([row for row in own if row["seed"] == seed], truth)
                for seed in sorted({row["seed"] for row in own})
            ]
            sets[source] = by_seed[0][0]
            if len(truth.models) == 2:
                for figure in ("apgr", "cpt50", "cpt80", "auc", "ece", "ece_debiased"):
                    sets[source][figure] = float(np.mean([found[figure] for found, _ in by_seed]))
                sets[source]["seeds"] = len(by_seed)
            else:
                changes.append(by_seed[0][1])
    result: dict[str, Any] = {"sets": sets}
    counted = [found["counted"] for found in sets.values() if "counted" in found]
    if counted:
        pooled = np.concatenate(changes)
        chance = np.random.default_rng(7)
        means = pooled[chance.integers(0, len(pooled), (_RESAMPLES, len(pooled)))].mean(axis=1)
        result["macro_saving"] = float(np.mean(counted))
        result["pooled_dq"] = float(pooled.mean())
        result["pooled_dq_interval"] = [float(bound) for bound in np.percentile(means, [2.5, 97.5])]
    return result


def show(
    rows: Sequence[Row], train: Path, test: Path, about: Mapping[str, Any] | None = None, split: int = 0
) -> dict[str, Any]:
    """A table for a person, and the figures as JSON; returns them."""
    found = figures(rows, train, test, split)
    for name, values in found["sets"].items():
        head = f"{name} (n {values['n']}): AUC {values['auc']:.3f}, ECE {values['ece']:.3f}"
        head += f" (debiased {values['ece_debiased']:+.3f})"
        if "apgr" in values:
            print(f"{head}, APGR {values['apgr']:.3f}, CPT50 {values['cpt50']:.1f}, CPT80 {values['cpt80']:.1f}")
            continue
        saved = "/".join(
            "-" if (value := values[f"saved_at_{share}"]) is None else f"{100 * value:.1f}"
            for share in ("95%", "99%", "100%")
        )
        print(f"{head}, AIQ {values['aiq']:.4f} (no routing {values['aiq_zero']:.4f}), saved at 95/99/100 %: {saved}")
        for kind in ("choice", "cascade"):
            if kind in values:
                print(f"    {kind:<8} {_told(values[kind])}")
    if "macro_saving" in found:
        low, high = found["pooled_dq_interval"]
        print(f"mean of the savings that count: {found['macro_saving']:.1%}")
        print(f"pooled change: {100 * found['pooled_dq']:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}]")
    print(json.dumps(found | ({"about": about} if about else {})), flush=True)
    return found


def over_splits(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means of several splits' figures, per set."""
    result: dict[str, Any] = {}
    for name, first in found[0]["sets"].items():
        several = [one["sets"][name] for one in found]
        plain = [figure for figure in ("apgr", "cpt50", "cpt80", "aiq", "ece_debiased") if figure in first]
        result[name] = {figure: float(np.mean([one[figure] for one in several])) for figure in plain}
        if "choice" in first:
            ends = [one.get("cascade", one["choice"]) for one in several]
            result[name] |= {figure: float(np.mean([end[figure] for end in ends])) for figure in ("saving", "dq")}
    for figure in ("macro_saving", "pooled_dq"):
        if figure in found[0]:
            result[figure] = float(np.mean([one[figure] for one in found]))
    return result


def _told(values: Mapping[str, Any]) -> str:
    low, high = (100 * bound for bound in values["dq_interval"])
    least, most = (100 * bound for bound in values["saving_interval"])
    counts = "counts" if values["counted"] else "does not count"
    change = f"{100 * values['dq']:+.2f} points [{low:+.2f}, {high:+.2f}]"
    return f"saves {100 * values['saving']:.1f} % [{least:.1f}, {most:.1f}] at {change}: {counts}"


def main() -> int:
    """Score a file of rows."""
    parser = argparse.ArgumentParser(prog="bench.score_routing", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--train", type=Path, required=True, help="the folder that was learned from")
    parser.add_argument("--test", type=Path, required=True, help="the folder that is judged on")
    parser.add_argument("rows", type=Path, help="what bench.routing --predictions wrote")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    show(rows, arguments.train.resolve(), arguments.test.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
