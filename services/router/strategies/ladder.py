"""A ladder of models, from cheap to dear, whose answers are judged on the way. Pure."""

from __future__ import annotations

from omnisphere.model.v1 import model_pb2
from services.router.catalog import named
from services.router.exchange_rate import ExchangeRate
from services.router.plan import Candidate, Facts, Judged, Plan, suited
from services.router.policy import PolicyRow
from services.router.strategies.worth import figures, reference_of

_MOST_RUNGS = 4


class Cascading:
    """The policy's models in their order; without any, those that are the best of their price, from cheap to dear.

    The last rung's answer needs no verdict. All facts must hold predictions.
    """

    def __init__(self, policy: PolicyRow, rate: ExchangeRate) -> None:
        self._policy = policy
        self._rate = rate

    def plan(self, facts: Facts) -> Plan:
        """The ladder. One model alone is asked without a judge."""
        policy = self._policy
        models, dropped = suited(facts)
        if not models:
            return Plan("cascade", (), tuple(dropped))
        quality, cost = figures(models, facts)
        rate = policy.quality_per_usd or self._rate.of(quality, cost, reference_of(facts, policy))
        if policy.models:
            found = (named(models, name) for name in policy.models)
            rungs = [model for model in found if model is not None]
        else:
            rungs = _best_of_their_price(models, list(quality), list(cost))
        chosen = [
            Candidate(model, "last rung" if rank == len(rungs) - 1 else f"rung {rank + 1}")
            for rank, model in enumerate(rungs)
        ]
        judged = Judged(rate, policy.threshold, policy.judge, policy.judge_model) if len(rungs) > 1 else None
        return Plan("cascade", tuple(chosen), tuple(dropped), filtered_goes_on=policy.filtered_goes_on, judged=judged)


def _best_of_their_price(
    models: list[model_pb2.Model], quality: list[float], cost: list[float]
) -> list[model_pb2.Model]:
    """From cheap to dear, each better than all that are cheaper; where these are many, evenly spread ones."""
    rising: list[model_pb2.Model] = []
    best = float("-inf")
    for _, better, place in sorted((cost[place], -quality[place], place) for place in range(len(models))):
        if -better > best:
            best = -better
            rising.append(models[place])
    if len(rising) <= _MOST_RUNGS:
        return rising
    last = len(rising) - 1
    return [rising[round(rung * last / (_MOST_RUNGS - 1))] for rung in range(_MOST_RUNGS)]
