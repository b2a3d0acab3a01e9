"""A call goes to an endpoint and a key that may be asked, and preferably where it is cheap."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from services.chassis.errors import (
    ContextTooLong,
    ProviderAuth,
    ProviderRateLimited,
    ProviderUnavailable,
    ServiceError,
    UnknownModel,
)
from services.chassis.settings import Secret
from services.providers.balancer import BALANCERS
from services.providers.breaker import BreakerRules
from services.providers.endpoints import Endpoint
from services.providers.keys import Key
from services.providers.picker import Need, Pick, Picker, Tried
from services.providers.places import Places
from services.providers.watch import NoWatch

NEED = Need(model="m", tokens=10, stream=False)
KEYS = (Key("A_API_KEY", Secret("sk-1")), Key("A_API_KEY_2", Secret("sk-2")))
A = Endpoint(name="a", base_url="http://a", serves={"m": "m", "n": "n"}, keys=KEYS)
B = Endpoint(name="b", base_url="http://b", serves={"m": "m", "n": "n"})
DOWN = ProviderUnavailable(cause="hung_up")


class Scene:
    """A picker, and who was tried for one request."""

    def __init__(self, *endpoints: Endpoint, need: Need = NEED) -> None:
        self.endpoints, self.need = endpoints, need
        self.places = Places(BreakerRules(failures=3), longest_rest=3600.0)
        self.picker = Picker(self.places, BALANCERS["weighted"], Random(5), NoWatch())
        self.tried = Tried()

    def pick(self, now: float = 0.0, *, need: Need | None = None) -> Pick:
        return self.picker.pick(self.endpoints, need or self.need, self.tried, now)

    def fail(self, error: ServiceError, now: float = 0.0) -> Pick:
        pick = self.pick(now)
        self.picker.failed(pick, error, self.tried, now)
        return pick

    def where(self, calls: int = 200, now: float = 0.0, need: Need | None = None) -> Counter[tuple[str, str]]:
        """Where the first attempts of so many requests go."""
        self.tried = Tried()
        found: Counter[tuple[str, str]] = Counter()
        for _ in range(calls):
            pick = self.pick(now, need=need)
            found[pick.endpoint.name, pick.key_name] += 1
            self.picker.given_up(pick)
        return found


def test_all_endpoints_and_keys_take_part():
    assert set(Scene(A, B).where()) == {("a", "A_API_KEY"), ("a", "A_API_KEY_2"), ("b", "")}


def test_the_key_with_fewer_calls_in_flight_is_taken():
    scene = Scene(A)
    assert {scene.pick().key_name, scene.pick().key_name} == {"A_API_KEY", "A_API_KEY_2"}


def test_endpoints_of_a_higher_priority_number_are_asked_when_no_other_can_be():
    scene = Scene(B, replace(A, priority=1))
    assert set(scene.where()) == {("b", "")}
    for _ in range(3):
        scene.tried = Tried()
        scene.fail(DOWN)
    assert {endpoint for endpoint, _ in scene.where()} == {"a"}


def test_after_a_refused_key_the_other_one_is_asked_and_goes_first_from_then_on():
    scene = Scene(A)
    first = scene.fail(ProviderAuth(status="401"))
    assert scene.pick().key_name != first.key_name
    assert first.key_name not in {key for _, key in scene.where()}


def test_a_refused_key_is_used_again_where_there_is_no_other():
    scene = Scene(replace(A, keys=KEYS[:1]))
    scene.fail(ProviderAuth(status="401"))
    with pytest.raises(ProviderUnavailable):
        scene.pick()  # not for the same request
    assert scene.where(1) == {("a", "A_API_KEY"): 1}


def test_a_forbidden_model_leaves_the_key_to_other_models():
    scene = Scene(replace(A, keys=KEYS[:1]), replace(B, priority=1))
    scene.fail(ProviderAuth(status="403"))
    assert set(scene.where()) == {("b", "")}
    assert set(scene.where(need=NEED._replace(model="n"))) == {("a", "A_API_KEY")}


def test_a_limited_key_rests_as_long_as_it_was_asked_to():
    scene = Scene(replace(A, keys=KEYS[:1]))
    scene.fail(ProviderRateLimited(retry_after=timedelta(seconds=9)))
    scene.tried = Tried()
    with pytest.raises(ProviderRateLimited) as limited:
        scene.pick(4.0)
    assert limited.value.retry_after == timedelta(seconds=5)
    assert scene.pick(9.0).endpoint is scene.endpoints[0]


def test_an_account_without_money_rests_for_all_models():
    scene = Scene(replace(A, keys=KEYS[:1]), replace(B, priority=1))
    scene.fail(ProviderRateLimited(provider_type="insufficient_quota"))
    assert set(scene.where(need=NEED._replace(model="n"))) == {("b", "")}


def test_an_endpoint_without_the_model_is_asked_last():
    scene = Scene(A, B)
    missing = scene.fail(UnknownModel(name="m")).endpoint.name
    assert missing not in {endpoint for endpoint, _ in scene.where()}


def test_a_refusal_of_the_request_says_nothing_of_the_endpoint():
    scene = Scene(B)
    for _ in range(9):
        scene.tried = Tried()
        scene.fail(ContextTooLong())
    assert scene.where(1) == {("b", ""): 1}


def test_failures_in_a_row_open_the_breaker_and_one_probe_closes_it():
    scene = Scene(B)
    for _ in range(3):
        scene.tried = Tried()
        scene.fail(DOWN)
    scene.tried = Tried()
    with pytest.raises(ProviderUnavailable) as resting:
        scene.pick(1.0)
    assert resting.value.retry_after == timedelta(seconds=4)
    assert scene.places.rests_for(B, "m", 1.0) == 4.0
    probe = scene.pick(5.0)
    with pytest.raises(ProviderUnavailable):
        scene.pick(5.0)
    scene.picker.succeeded(probe, 0.1, 5.1)
    assert scene.places.rests_for(B, "m", 5.1) == 0.0
    assert scene.where(3, 5.1) == {("b", ""): 3}


def test_for_one_request_those_that_failed_are_asked_last_and_the_same_at_most_twice():
    scene = Scene(A, B)
    asked = []
    for _ in range(6):
        try:
            asked.append(scene.fail(DOWN).endpoint.name)
        except ProviderUnavailable:
            break
    assert set(asked[:2]) == {"a", "b"}
    assert max(Counter(asked).values()) <= 4


def test_endpoints_to_avoid_are_asked_only_where_there_is_no_other():
    avoiding = NEED._replace(avoid=frozenset({"b"}))
    assert {endpoint for endpoint, _ in Scene(A, B).where(need=avoiding)} == {"a"}
    assert {endpoint for endpoint, _ in Scene(B).where(need=avoiding)} == {"b"}


def test_the_operators_limits_are_kept_over_all_keys():
    scene = Scene(replace(A, rpm=2))
    for _ in range(4):
        scene.picker.succeeded(scene.pick(), 0.1, 0.0)
    with pytest.raises(ProviderRateLimited) as limited:
        scene.pick(0.0)
    assert limited.value.retry_after == timedelta(seconds=61)


def test_where_the_provider_says_that_little_is_left_others_go_first():
    scene = Scene(A)
    pick = scene.pick()
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}
    scene.picker.headers(pick, told, 0.0, 0.0)
    scene.picker.succeeded(pick, 0.1, 0.0)
    assert pick.key_name not in {key for _, key in scene.where()}
    assert len(scene.where(now=31.0)) == 2


def test_a_conversation_goes_where_its_beginning_is_warm_unless_that_is_far_busier():
    need = NEED._replace(beginning=b"x" * 16)
    scene = Scene(A, B, need=need)
    pick = scene.pick()
    scene.picker.succeeded(pick, 0.1, 0.0)
    place = (pick.endpoint.name, pick.key_name)
    assert set(scene.where(now=299.0)) == {place}
    assert len(scene.where(now=301.0)) > 1
    held = [scene.pick(0.0) for _ in range(4)]
    assert {(each.endpoint.name, each.key_name) for each in held} == {place}
    assert len(scene.where()) > 1


def test_states_of_endpoints_that_are_gone_are_forgotten_unless_a_call_is_out():
    scene = Scene(B)
    for _ in range(3):
        scene.tried = Tried()
        scene.fail(DOWN)
    scene.places.keep_only(["b"])
    assert scene.places.rests_for(B, "m", 1.0)
    scene.places.keep_only([])
    assert not scene.places.rests_for(B, "m", 1.0)
