"""The task table: primary, fallback, and who takes the place of a model that cannot."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as some

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.plan import Facts, Plan, unfit
from services.router.policy import PolicyRow, Route
from services.router.strategies.rule import Rule
from tests.unit.router.samples import model

SMALL, MEDIUM, LARGE, FRONTIER = (
    model_pb2.TIER_SMALL,
    model_pb2.TIER_MEDIUM,
    model_pb2.TIER_LARGE,
    model_pb2.TIER_FRONTIER,
)
RESTING = (model_pb2.Endpoint.STATE_RESTING,)


def plan(models: Sequence[model_pb2.Model], *needs: str, fallback: str = "second") -> Plan:
    row = PolicyRow("rule", "first", "task", {"task": Route("first", fallback)})
    return Rule(row).plan(Facts("task", models, frozenset(needs), 100, 100))


def ids(made: Plan) -> list[str]:
    return [candidate.model.id for candidate in made.candidates]


def test_primary_then_fallback_by_id_or_alias():
    made = plan([model("x"), model("second"), model("one", "first")])
    assert ids(made) == ["one", "second"]
    assert [candidate.reason for candidate in made.candidates] == ["primary for task", "fallback for task"]
    assert (made.strategy, made.dropped, made.substituted) == ("rule", (), ())


def test_a_row_without_a_fallback_plans_one():
    assert ids(plan([model("first"), model("second")], fallback="")) == ["first"]


def test_a_model_that_cannot_is_dropped_and_the_nearest_tier_takes_its_place():
    made = plan([model("first", tier=LARGE, states=RESTING), model("second"), model("near", tier=LARGE), model("far")])
    assert ids(made) == ["near", "second"]
    assert [(c.model.id, c.dropped) for c in made.dropped] == [("first", decision_pb2.Candidate.DROPPED_RESTING)]
    assert made.substituted == ("first",)
    assert made.candidates[0].reason == "primary for task: nearest tier to first"


def test_a_model_that_is_not_known_is_replaced_too():
    made = plan([model("second"), model("cheap", price="0.1"), model("dear", price="9")], fallback="")
    assert (ids(made), made.dropped, made.substituted) == (["cheap"], (), ("first",))


def test_of_two_tiers_that_are_as_near_the_stronger_one_is_taken():
    models = [model("first", tier=MEDIUM, states=()), model("weak", tier=SMALL), model("strong", tier=LARGE, price="9")]
    assert ids(plan(models, fallback="")) == ["strong"]


def test_of_one_tier_the_cheapest_is_taken_then_the_first_id():
    models = [model("first", states=()), model("dear", price="9"), model("b"), model("a")]
    assert ids(plan(models, fallback="")) == ["a"]


def test_a_fallback_that_is_asked_already_gives_its_place_to_the_next_nearest():
    made = plan([model("first", states=()), model("second"), model("other", price="9")])
    assert ids(made) == ["second", "other"]
    assert made.substituted == ("first",)


def test_what_the_request_needs_decides_who_can():
    blind = model("first", can=())
    made = plan([blind, model("second", can=()), model("sees")], "image")
    assert ids(made) == ["sees"]
    assert [c.model.id for c in made.dropped] == ["first", "second"]


def test_when_nobody_can_the_plan_is_empty_and_says_why():
    made = plan([model("first", states=()), model("second", states=RESTING)])
    assert made.candidates == ()
    assert [c.dropped for c in made.dropped] == [
        decision_pb2.Candidate.DROPPED_NO_ENDPOINT,
        decision_pb2.Candidate.DROPPED_RESTING,
    ]


some_models = some.lists(
    some.builds(
        model,
        some.sampled_from(["first", "second", "a", "b", "c"]),
        tier=some.sampled_from([SMALL, MEDIUM, LARGE, FRONTIER]),
        can=some.sampled_from([(), (model_pb2.CAPABILITY_TOOLS,)]),
        states=some.sampled_from([(), RESTING, (model_pb2.Endpoint.STATE_READY,)]),
    ),
    unique_by=lambda made: made.id,
)


@given(some_models, some.sampled_from([(), ("tools",)]))
def test_no_plan_repeats_invents_or_holds_a_model_that_cannot(models, needs):
    made = plan(models, *needs)
    facts = Facts("task", models, frozenset(needs), 100, 100)
    assert len(set(ids(made))) == len(ids(made)) <= 2
    assert all(
        unfit(candidate.model, facts) == decision_pb2.Candidate.DROPPED_UNSPECIFIED for candidate in made.candidates
    )
    assert set(ids(made)) <= {known.id for known in models}
    able = [known for known in models if unfit(known, facts) == decision_pb2.Candidate.DROPPED_UNSPECIFIED]
    assert bool(made.candidates) == bool(able)


def test_a_long_conversation_has_a_larger_window_in_reserve_and_a_short_one_does_not_look_for_it():
    row = PolicyRow("rule", "first", "task", {"task": Route("first", "second")})
    models = [
        model("first", window=1_000),
        model("second", window=2_000),
        model("dear", window=90_000, price="9"),
        model("cheap", window=9_000, price="1"),
    ]
    long = Rule(row).plan(Facts("task", models, frozenset(), 2_001, 100))
    assert long.larger_window is not None
    assert long.larger_window.model.id == "cheap"
    assert Rule(row).plan(Facts("task", models, frozenset(), 2_000, 100)).larger_window is None
