"""python -m bench.routing --train DIR --test DIR: is the router's prediction worth money?

For each set that both folders have: `omnisphere train`'s own code makes an artefact of the training part, and the
router's own objects predict, choose and escalate on the test prompts from their text and length alone. The same folder
twice: a fifth of the rows, by a hash of their ids, is kept for the test. One method for all sets.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import score_routing
from bench.routing.recorded import asked, learned_from, names
from bench.routing.rows import Decider, Row, decision_us
from services.training.outcomes import Outcomes
from services.training.train import train

_CHARACTERS = 2_000


def sampled(outcomes: Outcomes, sources: Sequence[str], labels: int, seed: int) -> Outcomes:
    """At most so many rows of each data set, drawn anew for each seed."""
    chance = np.random.default_rng(seed)
    kept: list[int] = []
    for source in sorted(set(sources)):
        rows = np.array([row for row, name in enumerate(sources) if name == source])
        kept.extend(chance.permutation(rows)[:labels])
    return outcomes.only(np.array(sorted(kept)))


def run(
    folders: tuple[Path, Path], name: str, labels: int | None, seed: int, split: int = 0
) -> tuple[list[Row], dict[str, Any]]:
    """(rows of one set, what its artefact is and costs)."""
    inner = folders[0] == folders[1]
    outcomes, sources = learned_from(folders[0], name, inner=inner, split=split)
    if labels is not None:
        outcomes = sampled(outcomes, sources, labels, seed)
    started = time.process_time()
    artefact = train(outcomes, {"set": name, "labels": labels, "seed": seed})
    seconds = time.process_time() - started
    prompts, answers = asked(folders[1], name, inner=inner, split=split)
    decider = Decider(artefact)
    rows = [decider.row(name, prompt, answers, seed) for prompt in prompts]
    ladder = artefact.escalation.ladder.models if artefact.escalation else ()
    about = {
        "train": len(outcomes.ids),
        "train_cpu_s": round(seconds, 1),
        "artefact_bytes": len(artefact.dump()),
        "decision_us": round(decision_us(artefact, prompts, _CHARACTERS), 1),
        "models": len(artefact.estimator.columns),
        "ladder": list(ladder),
        "asked": len(answers.calls),
        "foretold": {"saving": artefact.evaluation.saving, "change": artefact.evaluation.change},
    }
    return rows, about


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="bench.routing", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--train", type=Path, required=True, help="a folder of <set>.parquet to learn from")
    parser.add_argument("--test", type=Path, required=True, help="a folder of <set>.parquet to be judged on")
    parser.add_argument("--labels", type=int, help="learn from so many rows of each data set")
    parser.add_argument("--seeds", type=int, default=1, help="so many draws of the labels")
    parser.add_argument("--splits", type=int, default=1, help="so many inner splits, and their means")
    parser.add_argument("--sets", nargs="+", help="these sets only")
    parser.add_argument("--predictions", type=Path, help="a file for the rows")
    arguments = parser.parse_args()
    folders = (arguments.train.resolve(), arguments.test.resolve())
    chosen = [name for name in names(*folders) if not arguments.sets or name in arguments.sets]
    if not chosen:
        print(f"no set is in both {arguments.train} and {arguments.test}", file=sys.stderr)
        return 2
    if folders[0] != folders[1] and arguments.splits != 1:
        parser.error("--splits takes one folder, given twice")
    if folders[0] == folders[1]:
        print("the same folder twice: a fifth of each set, by a hash of the ids, is kept for the test")
    every: list[Row] = []
    found: list[dict[str, Any]] = []
    for split in range(arguments.splits):
        rows: list[Row] = []
        about: dict[str, Any] = {}
        for name in chosen:
            for seed in range(arguments.seeds):
                predicted, about[name] = run(folders, name, arguments.labels, seed, split)
                rows += predicted
            print(f"{name}: {json.dumps(about[name])}", flush=True)
        if split == 0:  # the one that score_routing knows
            every = rows
        found.append(score_routing.show(rows, *folders, about, split))
    if arguments.predictions:
        arguments.predictions.write_text("".join(json.dumps(row) + "\n" for row in every))
    if len(found) > 1:
        print(f"means of {len(found)} splits: {json.dumps(score_routing.over_splits(found))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
