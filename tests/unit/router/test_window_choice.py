"""A long conversation goes to a larger window where that costs less than cutting it, or where nothing else fits."""

from __future__ import annotations

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.plan import Candidate, Plan
from services.router.window_choice import Cut, with_window
from tests.unit.router.samples import model

# Cut to a fifth, all of it cold.
COLD = Cut(before=20_000, after=4_000, warm=0, warm_uncut=0)


def plan(*others: model_pb2.Model, larger: model_pb2.Model | None = None, price: str = "10") -> Plan:
    planned = model("small", window=8_000, price=price)
    candidates = (Candidate(planned, "primary for task"), *(Candidate(other, "fallback for task") for other in others))
    return Plan("rule", candidates, larger_window=Candidate(larger, "larger window") if larger else None)


def ids(made: Plan) -> list[str]:
    return [candidate.model.id for candidate in made.candidates]


def test_a_cheaper_larger_window_is_asked_first_and_the_plan_says_why():
    made = with_window(plan(larger=model("large", price="1")), COLD, 100)
    assert ids(made) == ["large", "small"]
    assert made.candidates[0].reason == "larger window: whole for 20200000 nanousd, cut for 42000000"
    assert made.larger_window is None


def test_a_fallback_with_a_larger_window_keeps_its_own_reason():
    made = with_window(plan(model("other", window=8_000), model("large", price="1")), COLD, 100)
    assert ids(made) == ["large", "small", "other"]
    assert made.candidates[0].reason.startswith("fallback for task; larger window: whole for ")


def test_a_dearer_one_waits_until_it_is_needed():
    given = plan(larger=model("large", price="9"))
    assert with_window(given, COLD, 100) is given


def test_a_prefix_that_cutting_loses_tips_the_balance():
    large = model("large", price="10")
    large.prices.cache_read_usd_per_mtok = "1"
    given = plan(larger=large)
    assert with_window(given, COLD, 100) is given
    warm = Cut(before=20_000, after=4_000, warm=0, warm_uncut=19_900)
    assert ids(with_window(given, warm, 100)) == ["large", "small"]
    still_warm = Cut(before=20_000, after=4_000, warm=3_900, warm_uncut=19_900)
    given.candidates[0].model.prices.cache_read_usd_per_mtok = "1"
    assert with_window(given, still_warm, 100) is given


def test_what_fits_whole_stays_where_it_was_planned():
    given = plan(larger=model("large", price="1"))
    assert with_window(given, Cut(before=4_000, after=4_000, warm=0, warm_uncut=0), 100) is given


def test_a_weaker_model_never_takes_over_for_its_price():
    given = plan(larger=model("large", price="1", tier=model_pb2.TIER_SMALL))
    assert with_window(given, COLD, 100) is given


def test_nor_does_one_whose_window_is_still_too_small():
    given = plan(model("middle", window=20_050, price="1"))
    assert with_window(given, COLD, 100) is given


def test_unknown_prices_are_not_compared():
    for given in (plan(larger=model("large", price="")), plan(larger=model("large", price="1"), price="")):
        assert with_window(given, COLD, 100) is given


def test_of_several_the_cheapest_is_taken():
    given = plan(model("large", price="2"), larger=model("cheap", price="1"))
    assert ids(with_window(given, COLD, 100)) == ["cheap", "small", "large"]


def test_where_nothing_fits_the_planned_window_the_larger_one_takes_its_place():
    weak = model("large", price="90", tier=model_pb2.TIER_SMALL)
    made = with_window(plan(model("other", window=8_000), larger=weak), None, 100)
    assert ids(made) == ["large"]
    assert [(each.model.id, each.dropped) for each in made.dropped] == [
        ("small", decision_pb2.Candidate.DROPPED_WINDOW),
        ("other", decision_pb2.Candidate.DROPPED_WINDOW),
    ]
    assert made.candidates[0].reason == "larger window: nothing fits the planned one"


def test_without_a_larger_window_the_plan_stays():
    given = plan()
    assert with_window(given, None, 100) is given
    assert with_window(given, COLD, 100) is given
