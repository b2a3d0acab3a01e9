"""Which strategy plans what: the policy's, with everything that may remove a model."""

from __future__ import annotations

import numpy as np
import pytest

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest, UnknownModel
from services.router.catalog import Catalogue
from services.router.planner import Planner
from services.router.strategies.cascade import Ladder, Taught
from tests.fakes.routing import ScriptedForecaster
from tests.unit.router.samples import FALLBACK, PRIMARY, REFERENCE, admitted, fleet, model

DROPPED = decision_pb2.Candidate.Dropped


class Desk:
    def __init__(self, models=None):
        self.forecaster = ScriptedForecaster()
        self.planner = Planner(self.forecaster)
        self.catalogue = Catalogue(tuple(models or fleet()), "1")

    def plan(self, policy="", *, model="", tenant="default", fast=False, trial=False, **options):
        asked = pb.RequestOptions(inline_policy=policy, **options)
        ask = admitted("hello", model=model, tenant=tenant, options=asked)
        return self.planner.plan(ask, "simple_qa", self.catalogue, fast=fast, trial=trial)[0]


def ids(plan):
    return [candidate.model.id for candidate in plan.candidates]


def dropped(plan):
    return {candidate.model.id: candidate.dropped for candidate in plan.dropped}


COST_AWARE = 'strategy = "cost_aware"\nreference_model = "claude-opus"\n'


def test_auto_is_the_table_until_two_models_have_twenty_outcomes_in_the_task():
    desk = Desk()
    desk.forecaster.quality = {FALLBACK: 0.9, PRIMARY: 0.4, REFERENCE: 0.8}
    desk.forecaster.seen = {FALLBACK: 20, PRIMARY: 19}
    assert desk.plan().strategy == "rule"
    assert desk.forecaster.asked == []  # a table needs no prediction
    desk.forecaster.seen = {FALLBACK: 20, PRIMARY: 20}
    plan = desk.plan()
    assert (plan.strategy, ids(plan)[0]) == ("cost_aware", FALLBACK)
    assert len(desk.forecaster.asked) == 1


def test_the_cheapest_model_that_is_as_good_as_the_reference():
    desk = Desk([model("cheap", price="0.1"), model("fair", price="1"), model("big", "claude-opus", price="15")])
    desk.forecaster.quality = {"cheap": 0.5, "fair": 0.8, "big": 0.8}
    plan = desk.plan(COST_AWARE)
    assert ids(plan)[0] == "fair"
    assert len(plan.candidates) == 2
    assert dropped(plan) == {"cheap": DROPPED.DROPPED_NOT_NEEDED} or dropped(plan) == {
        "big": DROPPED.DROPPED_NOT_NEEDED
    }


def _where_the_cheap_one_is_much_better(desk, *, tenant="default", trial=False):
    desk.forecaster.quality = {"cheap": 0.99, "big": 0.5}
    for _ in range(64):
        assert ids(desk.plan(COST_AWARE, tenant=tenant, trial=trial))[0] == "cheap"
    desk.forecaster.quality = {"cheap": 0.5, "big": 0.9}


def test_what_one_tenant_is_told_of_models_chooses_for_no_other_one():
    desk = Desk([model("cheap", price="0.1"), model("big", "claude-opus", price="15")])
    desk.forecaster.teachers = {"poisoned"}
    _where_the_cheap_one_is_much_better(desk, tenant="poisoned")
    assert ids(desk.plan(COST_AWARE, tenant="poisoned"))[0] == "cheap"  # it has quality to spare, as far as it knows
    assert ids(desk.plan(COST_AWARE, tenant="sound"))[0] == "big"


def test_tenants_that_taught_nothing_have_one_price_together():
    desk = Desk([model("cheap", price="0.1"), model("big", "claude-opus", price="15")])
    _where_the_cheap_one_is_much_better(desk, tenant="busy")
    assert ids(desk.plan(COST_AWARE, tenant="new"))[0] == "cheap"


def test_what_was_only_asked_about_moves_no_later_plan():
    desk = Desk([model("cheap", price="0.1"), model("big", "claude-opus", price="15")])
    _where_the_cheap_one_is_much_better(desk, trial=True)
    assert ids(desk.plan(COST_AWARE))[0] == "big"


def test_a_fixed_rate_weighs_quality_against_cost():
    desk = Desk([model("cheap", price="0.1"), model("big", "claude-opus", price="15")])
    desk.forecaster.quality = {"cheap": 0.7, "big": 0.9}
    assert ids(desk.plan(COST_AWARE + "quality_per_usd = 0.001"))[0] == "big"
    assert ids(desk.plan(COST_AWARE + "quality_per_usd = 1000"))[0] == "cheap"


def test_a_threshold_takes_the_cheapest_above_and_says_who_is_below():
    desk = Desk([model("cheap", price="0.1"), model("fair", price="1"), model("big", "claude-opus", price="15")])
    desk.forecaster.quality = {"cheap": 0.5, "fair": 0.86, "big": 0.9}
    plan = desk.plan(COST_AWARE + "threshold = 0.85")
    assert ids(plan) == ["fair", "big"]
    assert dropped(plan) == {"cheap": DROPPED.DROPPED_QUALITY}
    desk.forecaster.quality = {"cheap": 0.5, "fair": 0.6, "big": 0.7}
    assert ids(desk.plan(COST_AWARE + "threshold = 0.85"))[0] == "big"


def test_a_cascade_without_models_climbs_the_best_of_their_price():
    desk = Desk(
        [
            model("cheap", price="0.1"),
            model("waste", price="0.5"),
            model("fair", price="1"),
            model("big", "claude-opus", price="15"),
        ]
    )
    desk.forecaster.quality = {"cheap": 0.6, "waste": 0.5, "fair": 0.7, "big": 0.9}
    plan = desk.plan('strategy = "cascade"\nreference_model = "claude-opus"')
    assert ids(plan) == ["cheap", "fair", "big"]
    assert plan.judged is not None
    assert plan.candidates[-1].reason == "last rung"


def test_a_cascade_of_one_model_judges_nothing():
    desk = Desk([model("big", "claude-opus")])
    plan = desk.plan('strategy = "cascade"\nreference_model = "claude-opus"')
    assert (ids(plan), plan.judged) == (["big"], None)


CASCADE = 'strategy = "cascade"\nreference_model = "claude-opus"\n'


def taught_desk(*, gain=0.0):
    """Training found that fair, then cheap, then big is the way, at 0.003 USD beside 0.02 for big alone."""
    desk = Desk([model("cheap", price="0.1"), model("fair", price="1"), model("big", "claude-opus", price="15")])
    desk.forecaster.quality = {"cheap": 0.6, "fair": 0.7, "big": 0.9}
    columns = ("cheap", "fair", "big", "gone")
    ladder = Ladder(("fair", "cheap", "big"), np.array([gain]), np.array([0.003]), np.array([[-0.5, -0.1, 0.0, 0.5]]))
    desk.forecaster.taught = Taught(ladder, columns, 10.0, np.array([0.0001, 0.002, 0.02, 0.001]), np.ones(1))
    return desk


@pytest.mark.parametrize("models", ["", 'models = ["fair", "cheap", "claude-opus"]'])
def test_the_ladder_of_training_is_walked_at_its_own_rate_and_price(models):
    plan = taught_desk().plan(CASCADE + models)
    assert ids(plan) == ["fair", "cheap", "big"]
    assert plan.judged is not None
    assert (plan.judged.rate, plan.judged.price_usd, plan.judged.is_taught) == (10.0, 0.02, True)


def test_the_policys_own_rate_goes_before_that_of_training():
    plan = taught_desk().plan(CASCADE + "quality_per_usd = 50.0")
    assert plan.judged is not None
    assert (plan.judged.rate, plan.judged.price_usd) == (50.0, 0.02)


def test_a_model_that_is_worth_as_much_as_the_ladder_is_asked_alone_if_it_can_be():
    plan = taught_desk(gain=-0.2).plan(CASCADE)
    assert (ids(plan), plan.judged) == (["fair"], None)


@pytest.mark.parametrize(
    "policy",
    [
        CASCADE + 'models = ["cheap", "fair", "claude-opus"]',
        CASCADE + 'models = ["fair", "claude-opus"]',
        CASCADE + "margin = 0.1",
        CASCADE + "threshold = 0.8",
        CASCADE + 'judge = "checks"',
        'strategy = "cascade"\nreference_model = "fair"',
    ],
)
def test_what_training_found_for_something_else_is_not_used(policy):
    plan = taught_desk().plan(policy)
    assert plan.judged is not None
    assert not plan.judged.is_taught


def test_fixed_asks_the_models_of_the_policy_in_its_order():
    policy = 'strategy = "fixed"\nreference_model = "claude-opus"\nmodels = ["claude-opus", "deepseek-v3"]'
    plan = Desk().plan(policy)
    assert (plan.strategy, ids(plan)) == ("fixed", [REFERENCE, PRIMARY])


def in_region(made, *tags):
    made.endpoints[0].region_tags.extend(tags)
    return made


@pytest.mark.parametrize("strategy", ["rule", "cost_aware", "cascade", "fixed", "semantic", "auto"])
def test_no_strategy_asks_a_model_that_may_not_be_asked(strategy):
    models = [
        in_region(model(PRIMARY, "deepseek-v3"), "us"),
        in_region(model(FALLBACK), "eu"),
        in_region(model(REFERENCE, "claude-opus", price="15"), "eu"),
    ]
    policy = (
        f'strategy = "{strategy}"\nreference_model = "claude-opus"\n'
        'models = ["deepseek-v3", "gpt-5-mini", "claude-opus"]\n'
        '[tasks]\nsimple_qa = { primary = "deepseek-v3", fallback = "claude-opus" }\n'
    )
    plan = Desk(models).plan(policy, region_tags=["eu"])
    assert PRIMARY not in ids(plan)
    assert ids(plan)
    assert dropped(plan)[PRIMARY] == DROPPED.DROPPED_REGION
    plan = Desk(models).plan(policy, max_cost_nanousd=1_000_000)
    assert REFERENCE not in ids(plan)
    assert dropped(plan)[REFERENCE] == DROPPED.DROPPED_BUDGET
    plan = Desk(models).plan(policy.replace('"gpt-5-mini", ', ""))
    assert FALLBACK not in ids(plan)


def test_what_is_unpriced_is_not_free():
    desk = Desk([model("free", price=""), model("big", "claude-opus")])
    plan = desk.plan(COST_AWARE, max_cost_nanousd=10_000_000_000)
    assert ids(plan) == ["big"]
    assert dropped(plan) == {"free": DROPPED.DROPPED_BUDGET}


def test_a_named_model_is_asked_alone_and_without_a_prediction():
    desk = Desk()
    assert ids(desk.plan(model="claude-opus")) == [REFERENCE]
    assert desk.forecaster.asked == []
    with pytest.raises(UnknownModel):
        desk.plan(model="nobody")
    assert ids(desk.plan(model="claude-opus", region_tags=["eu"])) == []


def test_a_resting_model_is_not_in_a_ladder():
    resting = (model_pb2.Endpoint.STATE_RESTING,)
    desk = Desk([model("cheap", states=resting), model("big", "claude-opus", price="15")])
    plan = desk.plan(COST_AWARE)
    assert (ids(plan), dropped(plan)) == (["big"], {"cheap": DROPPED.DROPPED_RESTING})


def test_a_model_without_a_price_is_not_free():
    desk = Desk([model("unknown", price=""), model("fair", price="1"), model("big", "claude-opus", price="15")])
    desk.forecaster.quality = {"unknown": 0.8, "fair": 0.8, "big": 0.8}
    assert ids(desk.plan(COST_AWARE)) == ["fair", "big"] or ids(desk.plan(COST_AWARE)) == ["fair", "unknown"]
    assert ids(desk.plan(COST_AWARE + "quality_per_usd = 1.0"))[0] == "fair"


def test_a_model_that_is_little_known_is_not_taken_for_as_good_as_one_that_is_known_well():
    desk = Desk([model("cheap", price="0.1"), model("big", "claude-opus", price="15")])
    desk.forecaster.quality = {"cheap": 0.92, "big": 0.9}
    assert ids(desk.plan(COST_AWARE))[0] == "cheap"  # nothing is known of either
    desk.forecaster.seen = {"cheap": 6, "big": 200}
    assert ids(desk.plan(COST_AWARE))[0] == "big"
    desk.forecaster.seen = {"cheap": 200, "big": 200}
    assert ids(desk.plan(COST_AWARE))[0] == "cheap"


@pytest.mark.parametrize("names", ['models = ["gpt-99"]', 'judge = "model"\njudge_model = "gpt-99"'])
def test_an_inline_policy_may_name_only_models_that_are_known(names):
    with pytest.raises(InvalidRequest) as caught:
        Desk().plan('strategy = "cascade"\nreference_model = "claude-opus"\n' + names)
    assert caught.value.metadata == {"field": "options.inline_policy", "problem": "names unknown models: gpt-99"}


def test_the_smallest_limit_of_a_policy_is_one():
    plan = Desk().plan(COST_AWARE + "max_cost_usd = 1e-12")
    assert not plan.candidates
    assert set(dropped(plan).values()) == {DROPPED.DROPPED_BUDGET}
