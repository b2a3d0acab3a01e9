"""One row per test prompt: what the router's own objects predict, choose and, in a cascade, ask."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.routing.recorded import Answers, Prompt
from services.router.quality.artefact import Artefact, Escalation
from services.router.quality.estimator import log_odds
from services.router.quality.features import NAMES, Floats, Reading, read
from services.router.quality.predictor import Known, Prediction, Predictor
from services.router.strategies.cascade import Cascade, State, alone
from services.router.strategies.cost_aware import choose

Row = dict[str, Any]
_OPTIONS = NAMES.index("options")


class Decider:
    """An artefact, and what the router would do with it."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._predictor = Predictor(artefact)
        self._models = tuple(Known(name) for name in artefact.estimator.columns)
        self._reference = artefact.estimator.columns.index(artefact.reference)

    def decide(self, prompt: Prompt) -> tuple[Reading, Prediction, Floats, int]:
        """(the prompt as read, qualities, USD, the model that is worth most): all that happens before one call."""
        reading = read(prompt.text, prompt.in_tokens)
        prediction = self._predictor.predict(reading, self._models)
        usd = self._artefact.cost.expected(prompt.in_tokens, prediction.tasks)
        return reading, prediction, usd, choose(prediction.quality, usd, self._artefact.rate)

    def row(self, name: str, prompt: Prompt, answers: Answers, seed: int) -> Row:
        """The row of a prompt."""
        reading, prediction, usd, chosen = self.decide(prompt)
        columns = self._artefact.estimator.columns
        cascade = None
        if self._artefact.escalation is not None:
            cascade = self._walk(self._artefact.escalation, prompt, reading, prediction, usd, answers)
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
        self,
        escalation: Escalation,
        prompt: Prompt,
        reading: Reading,
        prediction: Prediction,
        usd: Floats,
        answers: Answers,
    ) -> Row:
        columns, ladder = self._artefact.estimator.columns, escalation.ladder
        best = alone(ladder, usd, prediction.tasks, escalation.rate)
        if best is not None:
            return {"calls": [columns[best]], "answer": columns[best]}
        odds = log_odds(prediction.quality)
        cascade = Cascade(ladder, escalation.verifier, escalation.rate)
        state = State(
            priors=[float(odds[columns.index(model)]) for model in ladder.models],
            mean=float(odds.mean()),
            options=float(np.expm1(reading.cheap[_OPTIONS]).round()),
            in_tokens=prompt.in_tokens,
            tasks=prediction.tasks,
            price_usd=float(usd[self._reference]),
        )
        while True:
            step = cascade.next(state)
            if step.ask is None:
                break
            said = answers.ask(prompt, ladder.models[step.ask])
            state = state.with_answer(said)
        served = step.serve if step.serve is not None else len(ladder.models) - 1
        return {"calls": list(ladder.models[: len(state.answers)]), "answer": ladder.models[served]}


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
