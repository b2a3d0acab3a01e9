"""A ladder of models, from cheap to dear, whose answers are judged on the way. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from omnisphere.model.v1 import model_pb2
from services.router.catalog import named
from services.router.exchange_rate import ExchangeRate
from services.router.plan import Candidate, Facts, Judged, Plan, suited
from services.router.policy import PolicyRow
from services.router.strategies.cascade import Taught
from services.router.strategies.worth import figures, reference_of

_MOST_RUNGS = 4


class Cascading:
    """The policy's models in their order; without any, the ladder that training found; without one, the best of each
    price, from cheap to dear.

    Where the ladder is training's, so are its rate and the price of its last model, unless the policy says otherwise;
    and a single model that is worth as much is asked alone. The last rung's answer needs no verdict. All facts must
    hold predictions.
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
        taught = self._taught(models, facts)
        if taught is not None:
            return self._as_taught(taught, models, dropped)
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

    def _taught(self, models: list[model_pb2.Model], facts: Facts) -> Taught | None:
        """The ladder of training, where it is what the policy wants and can be asked."""
        policy, taught = self._policy, facts.forecast.taught()
        if taught is None or policy.judge != "learned" or policy.threshold or policy.margin:
            return None
        wanted = taught.ladder.models
        if not {model.id for model in models}.issuperset(wanted):
            return None
        if _ids(policy.models, models) not in ((), wanted) or _ids((policy.reference_model,), models) != wanted[-1:]:
            return None
        return taught

    def _as_taught(self, taught: Taught, models: list[model_pb2.Model], dropped: list[Candidate]) -> Plan:
        known = {model.id: model for model in models}
        rate = self._policy.quality_per_usd or taught.rate
        alone = taught.alone(rate, known.__contains__)
        judged = None
        if alone is not None:
            chosen = [Candidate(known[alone], "worth as much as the ladder")]
        else:
            *rungs, last = (known[name] for name in taught.ladder.models)
            chosen = [Candidate(model, f"rung {rank}") for rank, model in enumerate(rungs, 1)]
            chosen.append(Candidate(last, "last rung"))
            judged = Judged(rate, 0.0, "learned", price_usd=taught.price_usd)
        goes_on = self._policy.filtered_goes_on
        return Plan("cascade", tuple(chosen), tuple(dropped), filtered_goes_on=goes_on, judged=judged)


def _ids(names: Sequence[str], models: list[model_pb2.Model]) -> tuple[str, ...]:
    """The concrete ids of those names that are known."""
    found = (named(models, name) for name in names)
    return tuple(model.id for model in found if model is not None)


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
