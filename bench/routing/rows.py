"""One row per test prompt: what the router's own objects predict, choose and, in a cascade, ask."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.routing.recorded import Answers, Prompt
from services.router.quality.artefact import Artefact, Escalation
from services.router.quality.estimator import log_odds
from services.router.quality.features import Floats, read
from services.router.quality.predictor import Known, Prediction, Predictor
from services.router.strategies.cascade import Cascade, State, Taught
from services.router.strategies.cost_aware import choose

Row = dict[str, Any]


class Decider:
    """An artefact, and what the router would do with it."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._predictor = Predictor(artefact)
        self._models = tuple(Known(name) for name in artefact.estimator.columns)

    def decide(self, prompt: Prompt) -> tuple[Prediction, Floats, int]:
        """(qualities, USD, the model that is worth most): all that happens before one call."""
        reading = read(prompt.text, prompt.in_tokens)
        prediction = self._predictor.predict(reading, self._models)
        usd = self._artefact.cost.expected(prompt.in_tokens, prediction.tasks)
        return prediction, usd, choose(prediction.quality, usd, self._artefact.rate)

    def row(self, name: str, prompt: Prompt, answers: Answers, seed: int) -> Row:
        """The row of a prompt."""
        prediction, usd, chosen = self.decide(prompt)
        columns = self._artefact.estimator.columns
        taught = self._artefact.taught(prompt.in_tokens, prediction.tasks)
        escalation = self._artefact.escalation
        cascade = None
        if taught is not None and escalation is not None:
            cascade = self._walk(taught, escalation, prompt, prediction, answers)
        return {
            "set": name,
            "id": prompt.id,
            "p": dict(zip(columns, map(float, prediction.quality), strict=True)),
            "c": dict(zip(columns, map(float, usd), strict=True)),
            "choice": columns[chosen],
            "cascade": cascade,
            "seed": seed,
        }

    def _walk(
        self, taught: Taught, escalation: Escalation, prompt: Prompt, prediction: Prediction, answers: Answers
    ) -> Row:
        columns, models = taught.columns, taught.ladder.models
        best = taught.alone(taught.rate, columns.__contains__)
        if best is not None:
            return {"calls": [best], "answer": best}
        odds = log_odds(prediction.quality)
        cascade = Cascade(taught.ladder, escalation.verifier, taught.rate)
        state = State(
            models=models,
            priors=[float(odds[columns.index(model)]) for model in models],
            mean=prediction.mean(),
            options=prediction.options,
            in_tokens=prompt.in_tokens,
            tasks=prediction.tasks,
            price_usd=taught.price_usd,
        )
        while True:
            step = cascade.next(state)
            if step.ask is None:
                break
            state = state.with_answer(answers.ask(prompt, models[step.ask]))
        served = step.serve if step.serve is not None else len(models) - 1
        return {"calls": list(models[: len(state.answers)]), "answer": models[served]}


def decision_us(artefact: Artefact, prompts: Sequence[Prompt], characters: int) -> float:
    """CPU microseconds of one decision on a prompt of so many characters, the median over some of them."""
    decider = Decider(artefact)
    texts = [prompt for prompt in prompts if len(prompt.text) >= characters // 4][:200]
    asked = [
        Prompt(prompt.id, (prompt.text * (characters // len(prompt.text) + 1))[:characters], characters // 4)
        for prompt in texts
    ]
    spent = []
    for prompt in asked:
        started = time.process_time_ns()
        decider.decide(prompt)
        spent.append((time.process_time_ns() - started) / 1_000)
    return float(np.median(spent)) if spent else float("nan")
