"""python -m bench.routing.online --train DIR --test DIR: does the predictor notice that a model changed, or is new?

Full feedback: after each prompt the outcome of every model is learned, through the predictor that the router runs.
`drop`: the model that is chosen most loses 20 points of quality; how many outcomes until it is chosen as seldom as by
one who knows. `new`: a model appears that answers as the one that is chosen most, at half its price; it starts from the
mean of all models; of the prompts that one who knows would give it, how many does it get after 150 outcomes, and how
many `beyond` them. `equal`: the same, where it is as often right, but on other prompts: its outcome is that of a prompt
for which as much was foretold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from bench.routing.recorded import Prompt, asked, learned_from, names
from services.router.quality.artefact import Artefact
from services.router.quality.features import Floats, read
from services.router.quality.predictor import Known, Predictor
from services.router.strategies.cost_aware import choose
from services.training.train import train

_SETS = ("mmlupro", "zeroeval", "routerbench3", "llmrouter")
_LOST = 0.2
_WARM, _DROPPED, _LEARNED, _JUDGED = 150, 300, 150, 200
# Choices that are looked back at, and how near to one who knows is near enough.
_WINDOW, _NEAR = 50, 0.1
_NEW = "new"


@dataclass(frozen=True, slots=True)
class Stream:
    """Prompts in a random order, with every model's quality [n, models] for each."""

    prompts: Sequence[Prompt]
    quality: Floats


def streamed(prompts: Sequence[Prompt], quality: Floats, number: int, seed: int) -> Stream:
    """So many prompts, drawn without repetition as far as they last."""
    chance = np.random.default_rng(seed)
    order = np.concatenate([chance.permutation(len(prompts)) for _ in range(-(-number // len(prompts)))])[:number]
    return Stream([prompts[place] for place in order], quality[order])


def favourite(artefact: Artefact, stream: Stream) -> int:
    """The model that is chosen most before anything is learned."""
    predictor, models = Predictor(artefact), [Known(name) for name in artefact.estimator.columns]
    chosen = []
    for prompt in stream.prompts[:_WARM]:
        found = predictor.predict(read(prompt.text, prompt.in_tokens), models)
        usd = artefact.cost.expected(prompt.in_tokens, found.tasks)
        chosen.append(choose(found.quality, usd, artefact.rate))
    return int(np.bincount(chosen).argmax())


def drop(artefact: Artefact, stream: Stream, model: int, seed: int) -> dict[str, Any]:
    """The favourite gets worse after some time."""
    predictor, models = Predictor(artefact), [Known(name) for name in artefact.estimator.columns]
    chance = np.random.default_rng(seed)
    kept = 1 - _LOST / max(_LOST, float(stream.quality[:, model].mean()))
    picked, known = [], []
    for number, prompt in enumerate(stream.prompts):
        found = predictor.predict(read(prompt.text, prompt.in_tokens), models)
        usd = artefact.cost.expected(prompt.in_tokens, found.tasks)
        quality = stream.quality[number].copy()
        truth = found.before.copy()
        if number >= _WARM:
            quality[model] *= chance.random() < kept
            truth[model] *= kept
        picked.append(choose(found.quality, usd, artefact.rate) == model)
        known.append(choose(truth, usd, artefact.rate) == model)
        for place, one in enumerate(models):
            predictor.learn(found.noted(place), one.id, float(quality[place]))
    before, after = np.mean(picked[:_WARM]), np.mean(known[_WARM:])
    demoted = next(
        (
            number
            for number in range(_DROPPED)
            if np.mean(picked[_WARM + number + 1 - _WINDOW : _WARM + number + 1]) <= after + _NEAR
        ),
        None,
    )
    return {
        "model": artefact.estimator.columns[model],
        "share_before": round(float(before), 3),
        "share_of_one_who_knows": round(float(after), 3),
        "share_at_the_end": round(float(np.mean(picked[-_WINDOW:])), 3),
        "demoted_after": demoted,
    }


def new(artefact: Artefact, stream: Stream, model: int, answers: Floats) -> dict[str, Any]:
    """A model that is as good as the favourite, and half as dear, appears; `answers` [n] is its quality."""
    columns = artefact.estimator.columns
    predictor, models = Predictor(artefact), [*(Known(name) for name in columns), Known(_NEW)]
    got = due = beyond = 0
    for number, prompt in enumerate(stream.prompts[: _LEARNED + _JUDGED]):
        found = predictor.predict(read(prompt.text, prompt.in_tokens), models)
        usd = artefact.cost.expected(prompt.in_tokens, found.tasks)
        usd = np.append(usd, usd[model] / 2)
        if number >= _LEARNED:
            knowing = found.quality.copy()
            knowing[-1] = knowing[model]
            is_due = choose(knowing, usd, artefact.rate) == len(columns)
            is_got = choose(found.quality, usd, artefact.rate) == len(columns)
            due, got, beyond = due + is_due, got + (is_due and is_got), beyond + (is_got and not is_due)
        for place, quality in enumerate((*stream.quality[number], answers[number])):
            predictor.learn(found.noted(place), models[place].id, float(quality))
    share = round(got / due, 3) if due else None
    return {"like": columns[model], "due": due, "got": got, "share": share, "beyond": beyond}


def elsewhere(artefact: Artefact, stream: Stream, model: int) -> Floats:
    """The model's qualities [n], each moved to the prompt of the next higher forecast."""
    predictor, models = Predictor(artefact), [Known(artefact.estimator.columns[model])]
    readings = (read(prompt.text, prompt.in_tokens) for prompt in stream.prompts)
    order = np.argsort([predictor.predict(reading, models).before[0] for reading in readings], kind="stable")
    found = np.empty(len(order))
    found[order] = stream.quality[np.roll(order, 1), model]
    return found


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="bench.routing.online", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=_SETS)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    folders = (arguments.train.resolve(), arguments.test.resolve())
    chosen = [name for name in names(*folders) if name in arguments.sets]
    if not chosen:
        print(f"no set is in both {arguments.train} and {arguments.test}", file=sys.stderr)
        return 2
    inner = folders[0] == folders[1]
    figures: dict[str, Any] = {}
    for name in chosen:
        outcomes, _ = learned_from(folders[0], name, inner=inner)
        artefact = train(outcomes, {"set": name})
        prompts, _ = asked(folders[1], name, inner=inner)
        rows = {row["id"]: row for row in parquet.read_table(folders[1] / f"{name}.parquet").to_pylist()}
        quality = np.array([[rows[prompt.id][f"q__{model}"] for model in outcomes.models] for prompt in prompts])
        figures[name] = {"drop": [], "new": [], "equal": []}
        for seed in range(arguments.seeds):
            stream = streamed(prompts, quality, _WARM + max(_DROPPED, _JUDGED), seed)
            model = favourite(artefact, stream)
            figures[name]["drop"].append(drop(artefact, stream, model, seed))
            figures[name]["new"].append(new(artefact, stream, model, stream.quality[:, model]))
            figures[name]["equal"].append(new(artefact, stream, model, elsewhere(artefact, stream, model)))
        for kind, runs in figures[name].items():
            for run in runs:
                print(f"{name:<14} {kind}: {json.dumps(run)}", flush=True)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
