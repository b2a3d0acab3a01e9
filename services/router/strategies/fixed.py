"""Exactly the model that the caller named, and no other; or those of a policy, in its order."""

from __future__ import annotations

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.catalog import named
from services.router.plan import Candidate, Facts, Plan, unfit
from services.router.policy import PolicyRow

# What a model lacks is for the provider to say, where the caller named it.
_CANNOT_BE_CALLED = (
    decision_pb2.Candidate.DROPPED_NO_ENDPOINT,
    decision_pb2.Candidate.DROPPED_REGION,
    decision_pb2.Candidate.DROPPED_BUDGET,
)


class Fixed:
    """One candidate. What it cannot do is for the provider to say, except where it cannot be called at all."""

    def __init__(self, model: model_pb2.Model) -> None:
        self._model = model

    def plan(self, facts: Facts) -> Plan:
        """The named model, or nothing."""
        candidate = Candidate(self._model, "asked for by name")
        why = unfit(self._model, facts)
        if why in _CANNOT_BE_CALLED:
            return Plan("fixed", (), (candidate._replace(dropped=why),))
        return Plan("fixed", (candidate,))


class FixedOrder:
    """The models of a policy, in its order, each after an error of the one before."""

    def __init__(self, policy: PolicyRow) -> None:
        self._policy = policy

    def plan(self, facts: Facts) -> Plan:
        """Those that can take the request."""
        found = [model for name in self._policy.models if (model := named(facts.models, name)) is not None]
        candidates = [
            Candidate(model, f"number {place + 1} of the policy", unfit(model, facts))
            for place, model in enumerate(found)
        ]
        fits = decision_pb2.Candidate.DROPPED_UNSPECIFIED
        return Plan(
            "fixed",
            tuple(candidate for candidate in candidates if candidate.dropped == fits),
            tuple(candidate for candidate in candidates if candidate.dropped != fits),
            filtered_goes_on=self._policy.filtered_goes_on,
        )
