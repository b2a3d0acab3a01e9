"""Plans by worth: how outcomes make a model known."""

from __future__ import annotations

import pytest

from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.catalog import Catalogue
from services.router.planner import Planner
from tests.fakes.routing import ScriptedForecaster
from tests.unit.router.samples import admitted, model

POLICY = 'strategy = "cost_aware"\nreference_model = "big"\nthreshold = 0.8\n'


@pytest.mark.parametrize(
    ("new", "big", "chosen"),
    [
        (0, 0, "new"),  # nothing is known of either
        (0, 1_000, "big"),
        (20, 1_000, "big"),
        (150, 1_000, "new"),
    ],
)
def test_a_cheaper_model_of_equal_quality_is_chosen_once_outcomes_outweigh_what_was_believed(new, big, chosen):
    forecaster = ScriptedForecaster()
    forecaster.quality, forecaster.seen = {"new": 0.81, "big": 0.81}, {"new": new, "big": big}
    catalogue = Catalogue((model("new", price="7.5"), model("big", price="15")), "1")
    ask = admitted("hello", options=pb.RequestOptions(inline_policy=POLICY))
    plan = Planner(forecaster).plan(ask, "simple_qa", catalogue)[0]
    assert plan.candidates[0].model.id == chosen
