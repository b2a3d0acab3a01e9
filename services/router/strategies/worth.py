"""Plans by worth: the model of the greatest quality less its price's worth; or the cheapest that is good enough."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.catalog import named
from services.router.exchange_rate import ExchangeRate
from services.router.plan import Candidate, Facts, Plan, expected_cost, suited
from services.router.policy import PolicyRow
from services.router.strategies.cost_aware import cheapest_above, ordered

Floats = npt.NDArray[np.float64]
_Dropped = decision_pb2.Candidate.Dropped


class CostAware:
    """The model that is worth most for its price, then the next ones in case of errors.

    `rate` says what a dollar is worth in quality, unless the policy fixes it. All facts must hold predictions.
    """

    def __init__(self, policy: PolicyRow, rate: ExchangeRate) -> None:
        self._policy = policy
        self._rate = rate

    def plan(self, facts: Facts) -> Plan:
        """The best worth first; models that are not needed are named with their figures."""
        policy = self._policy
        models, dropped = suited(facts)
        if not models:
            return Plan("cost_aware", (), tuple(dropped))
        quality, cost = figures(models, facts)
        if policy.threshold:
            order, why = cheapest_above(quality, cost, policy.threshold), f"cheapest of quality {policy.threshold:g}"
        else:
            rate = policy.quality_per_usd or self._rate.of(quality, cost, reference_of(facts, policy))
            order, why = ordered(quality, cost, rate), f"quality less {rate:.4g} per USD"
        kept = 1 + policy.fallbacks
        chosen = [Candidate(models[place], why if not rank else "next best") for rank, place in enumerate(order[:kept])]
        rest = [_left(models[place], float(quality[place]), policy.threshold) for place in order[kept:]]
        return Plan("cost_aware", tuple(chosen), (*rest, *dropped), filtered_goes_on=policy.filtered_goes_on)


def figures(models: list[model_pb2.Model], facts: Facts) -> tuple[Floats, Floats]:
    """(predicted quality, expected cost in USD) of each model."""
    quality = np.array([facts.predictions[model.id].quality for model in models])
    cost = np.array([expected_cost(model, facts).nanousd * 1e-9 for model in models])
    return quality, cost


def reference_of(facts: Facts, policy: PolicyRow) -> float:
    """The quality that is predicted of the reference model, less the margin of the policy."""
    model = named(facts.models, policy.reference_model)
    if model is None or model.id not in facts.predictions:
        return max(prediction.quality for prediction in facts.predictions.values()) - policy.margin
    return facts.predictions[model.id].quality - policy.margin


def _left(model: model_pb2.Model, quality: float, threshold: float) -> Candidate:
    dropped = _Dropped.DROPPED_QUALITY if quality < threshold else _Dropped.DROPPED_NOT_NEEDED
    return Candidate(model, "", dropped)
