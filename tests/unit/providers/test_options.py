"""A vendor's options join the request, and may not speak for the contract."""

from __future__ import annotations

import json

import pytest

from services.chassis.errors import InvalidRequest
from services.providers.adapters.options import with_vendor_options

CARRIED = {"model", "limit", "config.limit"}


def test_options_are_merged_as_they_are():
    assert with_vendor_options({"model": "m"}, "", CARRIED) == {"model": "m"}
    assert with_vendor_options({"model": "m"}, '{"b": 1.0, "a": null}', CARRIED) == {"model": "m", "b": 1.0, "a": None}


def test_an_object_that_the_contract_fills_in_part_is_merged_inside():
    body = {"config": {"seed": 1}}
    assert with_vendor_options(body, '{"config": {"top_k": 3}}', CARRIED) == {"config": {"seed": 1, "top_k": 3}}
    assert with_vendor_options({}, '{"config": {"top_k": 3}}', CARRIED) == {"config": {"top_k": 3}}
    assert body == {"config": {"seed": 1}}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "x"}, "model"),
        ({"limit": 1}, "limit"),
        ({"set": 1}, "set"),
        ({"config": {"limit": 1}}, "config.limit"),
        ({"config": {"seed": 2}}, "config.seed"),
        ({"config": 7}, "config"),
    ],
)
def test_what_the_contract_carries_set_or_not_is_refused(options, named):
    with pytest.raises(InvalidRequest) as refused:
        with_vendor_options({"set": 0, "config": {"seed": 1}}, json.dumps(options), CARRIED)
    assert refused.value.metadata["field"] == "conversation.vendor_options_json"
    assert refused.value.metadata["problem"].startswith(f"names {named},")
