"""Epochs of tenants: the later one holds, whoever began it."""

from __future__ import annotations

from services.cache.epochs import Epochs


def test_a_tenant_that_never_began_one_is_in_the_operators():
    assert Epochs(3).of("a") == "3"


def test_a_new_one_is_another_for_its_tenant_alone_also_where_the_clock_stands_still():
    epochs = Epochs(3)
    numbers = [epochs.begin("a", now) for now in (100.0, 100.0, 50.0)]
    assert numbers == sorted(set(numbers))
    assert epochs.of("a").startswith("3.")
    assert epochs.of("b") == "3"
    assert epochs.wall("a") != epochs.wall("b")


def test_of_two_the_later_one_holds_everywhere():
    one, other = Epochs(0), Epochs(0)
    first, second = one.begin("a", 100.0), other.begin("a", 101.0)
    assert one.take("a", second)
    assert not other.take("a", first)
    assert one.of("a") == other.of("a")
    assert not one.take("a", second)
    assert not one.take("a", b"torn")
