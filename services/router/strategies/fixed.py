"""Exactly the model that the caller named, and no other."""

from __future__ import annotations

from dataclasses import replace

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.plan import Candidate, Facts, Plan, unfit


class Fixed:
    """One candidate. What it cannot do is for the provider to say, except where it cannot be called at all."""

    def __init__(self, model: model_pb2.Model) -> None:
        self._model = model

    def plan(self, facts: Facts) -> Plan:
        """The named model, or nothing."""
        candidate = Candidate(self._model, "asked for by name")
        why = unfit(self._model, facts)
        if why == decision_pb2.Candidate.DROPPED_NO_ENDPOINT:
            return Plan("fixed", (), (replace(candidate, dropped=why),))
        return Plan("fixed", (candidate,))
