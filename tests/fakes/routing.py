"""What predicts and what judges, as small real objects that say what a test wrote down."""

from __future__ import annotations

from collections.abc import Sequence

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.cascade_run import Heard
from services.router.forecast import Evidence, Forecast, Prediction, Question
from services.router.judge import Verdict
from services.router.judge.agreement import Asked
from services.router.judge.untaught import by_agreement
from services.router.learning.outcomes import Outcome
from services.router.record import Record
from services.router.strategies.cascade import Taught


class ScriptedForecaster:
    """Predicts `quality` by concrete id, 0.5 where it has none, from `seen` outcomes; remembers what it learned."""

    def __init__(self) -> None:
        self.quality: dict[str, float] = {}
        self.seen: dict[str, int] = {}
        self.asked: list[Question] = []
        self.learned: list[Outcome] = []
        self.kept: list[Outcome] = []
        self.lengths: list[tuple[str, str, int]] = []
        self.taught: Taught | None = None
        self.teachers: set[str] = set()

    def predict(self, question: Question, models: Sequence[model_pb2.Model]) -> Forecast:
        self.asked.append(question)
        predictions = {model.id: self._prediction(model.id) for model in models}
        return Forecast(predictions, note=lambda model: model.encode(), taught=lambda: self.taught)

    def outcomes(self, tenant: str, task_type: str, model: str) -> int:
        return self.seen.get(model, 0)

    def has_taught(self, tenant: str) -> bool:
        return tenant in self.teachers

    def output_tokens(self, task_type: str, model: str) -> int | None:
        return None

    def answered(self, task_type: str, model: str, output_tokens: int) -> None:
        self.lengths.append((task_type, model, output_tokens))

    def learn(self, outcome: Outcome) -> None:
        self.learned.append(outcome)

    def _prediction(self, model: str) -> Prediction:
        seen = self.seen.get(model, 0)
        evidence = Evidence.EVIDENCE_LEARNED if seen else Evidence.EVIDENCE_PRIOR
        return Prediction(self.quality.get(model, 0.5), evidence, seen)


class ScriptedJudge:
    """Accepts the answers of `good` models, and thinks the newest answer the best one; those of `faulty` are empty."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.faulty: set[str] = set()
        self.heard: list[Heard] = []

    async def verdict(self, heard: Heard, record: Record, request_id: str) -> tuple[decision_pb2.Verdict, int]:
        self.heard.append(heard)
        model = heard.answered[-1][0].model.id
        accepted = model in self.good
        found = decision_pb2.Verdict(
            model=model,
            judge=decision_pb2.Verdict.JUDGE_LEARNED,
            confidence=0.9 if accepted else 0.1,
            accepted=accepted,
            fault="empty" if model in self.faulty else "",
        )
        return found, len(heard.answered) - 1


class AgreementVerifier:
    """Bayes' rule over what is predicted, and which answers agree."""

    def verdict(self, asked: Asked) -> Verdict:
        return by_agreement(asked)
