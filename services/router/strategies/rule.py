"""The task table: a primary model per task type, and one fallback."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.catalog import named
from services.router.plan import Candidate, Facts, Plan, expected_cost, unfit
from services.router.policy import PolicyRow

_PLANNED = decision_pb2.Candidate.DROPPED_UNSPECIFIED


class Rule:
    """The row of the task. A model that cannot take the request is replaced by the cheapest of the nearest tier."""

    def __init__(self, policy: PolicyRow, *, name: str = "rule") -> None:
        """`name`: the strategy's, where only the task was found in another way."""
        self._policy = policy
        self._name = name

    def plan(self, facts: Facts) -> Plan:
        """Primary, then fallback; each of them or its replacement, none twice."""
        route = self._policy.tasks[facts.task_type]
        chosen: list[Candidate] = []
        dropped: list[Candidate] = []
        substituted: list[str] = []
        for name, place in ((route.primary, "primary"), (route.fallback, "fallback")):
            if not name:
                continue
            wanted, reason = named(facts.models, name), f"{place} for {facts.task_type}"
            taken = {candidate.model.id for candidate in chosen}
            why = unfit(wanted, facts) if wanted is not None else decision_pb2.Candidate.DROPPED_NO_ENDPOINT
            if wanted is not None and why == _PLANNED and wanted.id not in taken:
                chosen.append(Candidate(wanted, reason))
                continue
            if wanted is not None and why != _PLANNED:
                dropped.append(Candidate(wanted, reason, why))
            tier = wanted.tier if wanted is not None else model_pb2.TIER_MEDIUM
            instead = _nearest(facts, tier, taken)
            if instead is not None:
                chosen.append(Candidate(instead, f"{reason}: nearest tier to {name}"))
                if why != _PLANNED:  # else it is asked already, in the other place
                    substituted.append(name)
        return Plan(
            self._name,
            tuple(chosen),
            tuple(dropped),
            tuple(substituted),
            larger_window=_larger(facts, chosen),
            filtered_goes_on=self._policy.filtered_goes_on,
        )


def _larger(facts: Facts, chosen: Sequence[Candidate]) -> Candidate | None:
    """The cheapest model whose window is larger than those of all that were chosen, where that may matter."""
    window = max((candidate.model.window_tokens for candidate in chosen), default=0)
    if facts.input_bytes <= window:
        return None  # bytes bound tokens: it fits
    suited = [model for model in facts.models if model.window_tokens > window and unfit(model, facts) == _PLANNED]
    found = min(suited, key=lambda model: (expected_cost(model, facts).nanousd, model.id), default=None)
    return Candidate(found, "larger window") if found is not None else None


def _nearest(facts: Facts, tier: model_pb2.Tier.ValueType, taken: Collection[str]) -> model_pb2.Model | None:
    """The model of the nearest tier, the stronger one of two, then the cheapest; by id where all is equal."""
    suited = [model for model in facts.models if unfit(model, facts) == _PLANNED and model.id not in taken]
    return min(
        suited,
        key=lambda model: (abs(model.tier - tier), -model.tier, expected_cost(model, facts).nanousd, model.id),
        default=None,
    )
