"""The four kinds of checks see through prose and are not fooled by it."""

from __future__ import annotations

import pytest

from services.simulator.check import check, problem


@pytest.mark.parametrize(
    ("reply", "value", "passes"),
    [
        ("It is 28.", 28, True),
        ("February 2023 had 28 days", 28, True),
        ("twenty-eight... no: **1,234.50** euros", 1234.5, True),
        ("It is -4 degrees.", -4, True),
        ("It is \u22124 degrees.", -4, True),
        ("The range 10-14 fits.", 14, True),
        ("It is 280.", 28, False),
        ("You must take four socks.", 4, True),
        ("One of the 5 socks, or four.", 4, False),
        ("", 4, False),
    ],
)
def test_a_number_is_found_as_a_whole_number_in_prose(reply, value, passes):
    assert check(reply, {"kind": "number", "value": value}) is passes


def test_a_number_may_have_a_tolerance():
    spec = {"kind": "number", "value": 3.14, "tolerance": 0.01}
    assert check("about 3.15", spec)
    assert not check("about 3.2", spec)


def test_all_texts_must_be_there_as_whole_words_and_one_of_each_choice():
    spec = {"kind": "contains_all", "values": ["male", ["car", "van"]]}
    assert check("The MALE drove a\n van.", spec)
    assert not check("The female drove a van.", spec)
    assert not check("The male drove a cart.", spec)


def test_texts_without_spaces_between_words_are_found_too():
    assert check("駅はここの近くです。", {"kind": "contains_all", "values": ["駅", "近く"]})


def test_a_label_counts_only_when_it_is_the_only_one_named():
    spec = {"kind": "label", "labels": ["spam", "not spam"], "value": "not spam"}
    assert check("This is Not Spam.", spec)
    assert not check("This is spam.", spec)
    assert not check("This is spam, or not spam?", spec)
    assert not check("I cannot say.", spec)


def test_json_fields_are_read_from_a_fence_or_from_prose():
    spec = {"kind": "json_fields", "fields": {"city": "Porto", "n": 2, "ok": True, "l": [1, "A"]}}
    body = '{"city": "porto ", "n": 2.0, "ok": true, "l": [1, "a"], "more": null}'
    assert check(f"Here {{you}} are:\n```json\n{body}\n```", spec)
    assert not check(body.replace("true", "1"), spec)
    assert not check(body.replace("2.0", '"2"'), spec)
    assert not check("no object at all", spec)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"kind": "vibes"},
        {"kind": "number", "value": "4"},
        {"kind": "contains_all", "values": "x"},
        {"kind": "label", "value": "a", "labels": ["b"]},
        {"kind": "json_fields"},
    ],
)
def test_a_check_that_cannot_work_is_said_to_be_wrong(spec):
    assert problem(spec)
