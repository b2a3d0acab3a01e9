"""A rest that was asked for is kept; one that we chose only puts others first, until it was needed thrice."""

from __future__ import annotations

from services.providers.rests import ALL, Rests


def test_what_the_provider_asked_for_is_binding_and_ends_by_itself():
    rests = Rests(3600.0)
    rests.begin("m", 10.0, seconds=7.0)
    assert rests.binding_for("m", 12.0) == 5.0
    assert rests.prefers_rest("m", 12.0)
    assert not rests.prefers_rest("other", 12.0)
    assert rests.binding_for("m", 17.0) == 0.0
    assert not rests.prefers_rest("m", 17.0)


def test_a_rest_for_all_models_holds_for_each():
    rests = Rests(3600.0)
    rests.begin(ALL, 0.0, seconds=3.0)
    assert rests.binding_for("m", 1.0) == 2.0


def test_our_own_rests_double_and_bind_from_the_third_on():
    rests, found = Rests(3600.0), []
    for now in (0.0, 100.0, 200.0, 300.0):
        rests.begin("m", now, seconds=None)
        found.append((rests.prefers_rest("m", now), rests.binding_for("m", now)))
    assert found == [(True, 0.0), (True, 0.0), (True, 4.0), (True, 8.0)]
    for _ in range(50):
        rests.begin("m", 400.0, seconds=None)
    assert rests.binding_for("m", 400.0) == 600.0


def test_an_answer_ends_them_and_the_next_begins_anew():
    rests = Rests(3600.0)
    for _ in range(5):
        rests.begin("m", 0.0, seconds=None)
    rests.end("m")
    assert not rests.prefers_rest("m", 0.0)
    rests.begin("m", 0.0, seconds=None)
    assert rests.binding_for("m", 0.0) == 0.0


def test_no_rest_is_longer_than_the_operator_allows_and_none_where_it_is_nothing():
    rests = Rests(5.0)
    rests.begin("m", 0.0, seconds=3600.0)
    assert rests.binding_for("m", 0.0) == 5.0
    never = Rests(0.0)
    never.begin("m", 0.0, seconds=3600.0)
    assert not never.prefers_rest("m", 0.0)
