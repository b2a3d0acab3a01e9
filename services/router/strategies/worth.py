"""Plans by worth: the model of the greatest quality less its price's worth; or the cheapest that is good enough.

A model of which less is known than of the reference model is taken for as much worse as what is believed without
outcomes may be wrong, by the share that it still has in the prediction:

    doubt after n outcomes = 0.5 / sqrt(5) x 5 / (n + 5)    what a share may be off after five outcomes, at its largest

Luck of the outcomes themselves is taken off nobody: it is as often good as bad, and a new model of equal quality at
half the price would wait for many hundreds of them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.catalog import named
from services.router.exchange_rate import ExchangeRate
from services.router.plan import Candidate, Facts, Plan, expected_nanousd, suited
from services.router.policy import PolicyRow
from services.router.strategies.cost_aware import cheapest_above, ordered

Floats = npt.NDArray[np.float64]
_PRIOR = 5.0
_DOUBT = 0.5 / math.sqrt(_PRIOR)
_QUALITY, _NOT_NEEDED = decision_pb2.Candidate.DROPPED_QUALITY, decision_pb2.Candidate.DROPPED_NOT_NEEDED


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
        quality = quality - _doubts(models, facts, policy)
        if policy.threshold:
            order, why = cheapest_above(quality, cost, policy.threshold), f"cheapest of quality {policy.threshold:g}"
        else:
            rate = policy.quality_per_usd or self._rate.of(quality, cost, reference_of(facts, policy))
            order, why = ordered(quality, cost, rate), f"quality less {rate:.4g} per USD"
        kept = 1 + policy.fallbacks
        chosen = [Candidate(models[place], why if not rank else "next best") for rank, place in enumerate(order[:kept])]
        values = quality.tolist()
        rest = [_left(models[place], values[place], policy.threshold) for place in order[kept:]]
        return Plan("cost_aware", tuple(chosen), (*rest, *dropped), filtered_goes_on=policy.filtered_goes_on)


def figures(models: list[model_pb2.Model], facts: Facts) -> tuple[Floats, Floats]:
    """(predicted quality, expected cost in USD) of each model; one without a price counts as dear as the dearest."""
    predictions = facts.predictions
    quality = np.array([predictions[model.id].quality for model in models])
    known = [expected_nanousd(model, facts) for model in models]
    dearest = max((cost for cost in known if cost is not None), default=0)
    return quality, np.array([dearest if cost is None else cost for cost in known]) * 1e-9


def _doubts(models: list[model_pb2.Model], facts: Facts, policy: PolicyRow) -> Floats:
    """What to take off each predicted quality: nothing where the reference model is as little known."""
    reference = named(facts.models, policy.reference_model)
    prediction = facts.predictions.get(reference.id) if reference is not None else None
    allowed = prediction.outcomes if prediction else 0
    if not allowed:
        return np.zeros(len(models))
    known = np.array([facts.predictions[model.id].outcomes for model in models])
    found: Floats = _DOUBT * np.maximum(0.0, _PRIOR / (known + _PRIOR) - _PRIOR / (allowed + _PRIOR))
    return found


def reference_of(facts: Facts, policy: PolicyRow) -> float:
    """The quality that is predicted of the reference model, less the margin of the policy."""
    model = named(facts.models, policy.reference_model)
    if model is None or model.id not in facts.predictions:
        return max(prediction.quality for prediction in facts.predictions.values()) - policy.margin
    return facts.predictions[model.id].quality - policy.margin


def _left(model: model_pb2.Model, quality: float, threshold: float) -> Candidate:
    return Candidate(model, "", _QUALITY if quality < threshold else _NOT_NEEDED)
