"""The model that the caller named, and no other."""

from __future__ import annotations

import pytest

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.plan import Facts
from services.router.strategies.fixed import Fixed
from tests.unit.router.samples import model

FACTS = Facts("task", (), frozenset({"tools"}), 100, 100)


@pytest.mark.parametrize(
    "named", [model("m"), model("m", can=()), model("m", states=(model_pb2.Endpoint.STATE_RESTING,))]
)
def test_the_named_model_is_asked_also_where_it_may_fail(named):
    plan = Fixed(named).plan(FACTS)
    assert [candidate.model for candidate in plan.candidates] == [named]
    assert (plan.strategy, plan.dropped) == ("fixed", ())


def test_a_model_that_cannot_be_called_is_dropped():
    plan = Fixed(model("m", states=())).plan(FACTS)
    assert plan.candidates == ()
    assert [candidate.dropped for candidate in plan.dropped] == [decision_pb2.Candidate.DROPPED_NO_ENDPOINT]
