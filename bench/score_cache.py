"""python -m bench.score_cache ROWS --train PAIRS --test PAIRS: the figures of a run of bench.cache, from its rows.

Nothing of services/ is used. A hit is judged by the pairs (bench/cache/pairs.py): true where the query's source says
that the two texts may share an answer, false otherwise. Shares are of all look-ups of a part; a look-up without a row
counts as a false hit. Intervals are 95 % bootstrap percentiles over look-ups. `natural - cosine`: true hits of natural
paraphrases, less those of a calibrated cosine, each look-up beside itself.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cache.pairs import NATURAL, LookUp, Pair, Stream, inner_split, read

Row = Mapping[str, Any]
_RESAMPLES = 1_000
_YARDSTICK, _DIFFERENCE = "cosine", "natural - cosine"
Bools = npt.NDArray[np.bool_]


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def figures(rows: Sequence[Row], train: Sequence[Pair], test: Sequence[Pair]) -> dict[str, Any]:
    """artefact -> budget -> part -> {true, false (share and interval), look_ups, with_paraphrase, reasons}."""
    stream = Stream(test)
    seen = {pair.kind for pair in train if pair.source == "checklist"}
    parts = _parts(stream, seen)
    by_run: dict[tuple[str, float], dict[tuple[str, str, str], Row]] = {}
    for row in rows:
        run = by_run.setdefault((row["artefact"], row["budget"]), {})
        run[(row["stream"], row["kind"], row["query"])] = row
    found: dict[str, Any] = {}
    outcomes = {name: _outcomes(stream, run) for name, run in sorted(by_run.items())}
    for (artefact, budget), (true, false) in outcomes.items():
        of_run = found.setdefault(artefact, {})[str(budget)] = {
            name: _shares(true[mask], false[mask], seed=0) for name, mask in parts.items() if mask.any()
        }
        yardstick, natural = outcomes.get((_YARDSTICK, budget)), parts["natural"]
        if artefact != _YARDSTICK and yardstick is not None and natural.any():
            of_run[_DIFFERENCE] = _difference(true[natural], yardstick[0][natural], seed=0)
    return found


def _outcomes(stream: Stream, run: Mapping[tuple[str, str, str], Row]) -> tuple[Bools, Bools]:
    true, false = (np.zeros(len(stream.look_ups), bool) for _ in range(2))
    for number, look_up in enumerate(stream.look_ups):
        row = run.get((look_up.source, look_up.kind, look_up.query))
        if row is None:
            false[number] = True
        elif row["hit"]:
            true[number] = stream.is_true(look_up.source, look_up.query, row["matched"])
            false[number] = not true[number]
    return true, false


def _parts(stream: Stream, seen: set[str]) -> dict[str, Bools]:
    def mask(chosen: Callable[[LookUp], bool]) -> Bools:
        return np.array([chosen(look_up) for look_up in stream.look_ups], bool)

    def unseen(look_up: LookUp) -> bool:
        return look_up.source == "checklist" and look_up.kind not in seen

    sources = np.array([look_up.source for look_up in stream.look_ups])
    return {
        "mixed": np.ones(len(stream.look_ups), bool),
        "clean": mask(lambda look_up: look_up.source != "qqp"),
        "natural": mask(lambda look_up: look_up.source in NATURAL),
        "near-miss": mask(lambda look_up: look_up.source == "checklist"),
        "unseen": mask(unseen),
        "no paraphrase": mask(lambda look_up: not stream.has_paraphrase(look_up)),
        **{source: sources == source for source in (*NATURAL, "gsc-banking")},
    }


def _shares(true: Bools, false: Bools, *, seed: int) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    chosen = chance.integers(0, len(true), (_RESAMPLES, len(true)))

    def share(values: Bools) -> dict[str, Any]:
        interval = np.percentile(values[chosen].mean(axis=1), (2.5, 97.5))
        return {"share": round(float(values.mean()), 5), "interval": [round(float(end), 5) for end in interval]}

    return {"look_ups": len(true), "true": share(true), "false": share(false)}


def _difference(ours: Bools, theirs: Bools, *, seed: int) -> dict[str, Any]:
    """Ours less theirs, each look-up beside itself."""
    differences = ours.astype(np.int8) - theirs.astype(np.int8)
    chance = np.random.default_rng(seed)
    means = differences[chance.integers(0, len(ours), (_RESAMPLES, len(ours)))].mean(axis=1)
    interval = [round(float(end), 5) for end in np.percentile(means, (2.5, 97.5))]
    return {"look_ups": len(ours), "true": {"share": round(float(differences.mean()), 5), "interval": interval}}


def table(found: Mapping[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{'artefact':9} {'budget':>6} {'part':16} {'look-ups':>8}  {'true hits':24} {'false hits':24}"]
    for artefact, budgets in found.items():
        for budget, parts in budgets.items():
            for name, part in parts.items():
                shares = [
                    f"{part[kind]['share']:7.2%} [{part[kind]['interval'][0]:.2%}, {part[kind]['interval'][1]:.2%}]"
                    for kind in ("true", "false")
                    if kind in part
                ]
                front = f"{artefact:9} {float(budget):6.2%} {name:16} {part['look_ups']:8}"
                lines.append("  ".join((front, *(f"{share:24}" for share in shares))).rstrip())
    return "\n".join(lines)


def main() -> None:
    """Print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    arguments = parser.parse_args()
    train, test = read(arguments.train), read(arguments.test)
    if arguments.train.resolve() == arguments.test.resolve():
        train, test = inner_split(test)
    found = figures(read_rows(arguments.rows), train, test)
    print(table(found))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
