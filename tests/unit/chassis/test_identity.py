"""A tenant in metadata is believed, refused, or the default; never ignored."""

from __future__ import annotations

import pytest

from services.chassis.errors import Unauthenticated
from services.chassis.identity import Caller, identify


@pytest.mark.parametrize("believed", [True, False])
@pytest.mark.parametrize("claimed", ["", "default"])
def test_who_claims_nothing_is_the_default_tenant(claimed, believed):
    assert identify(claimed, believed=believed) == Caller("default")


def test_a_claim_is_believed_where_that_is_safe():
    assert identify("acme-1.EU_x", believed=True) == Caller("acme-1.EU_x")


def test_a_claim_that_is_not_believed_is_refused():
    with pytest.raises(Unauthenticated) as caught:
        identify("acme", believed=False)
    assert caught.value.metadata == {"problem": "this deployment does not accept a tenant in metadata"}


@pytest.mark.parametrize("claimed", ["a b", "a/b", "é", "x" * 65, "a\n", "../x"])
def test_an_odd_claim_is_refused(claimed):
    with pytest.raises(Unauthenticated) as caught:
        identify(claimed, believed=True)
    assert claimed not in caught.value.message()
