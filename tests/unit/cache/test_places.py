"""Places by digest against a dict, also where keys look alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.cache.places import NOWHERE, Places

# Few bytes, so that keys meet in buckets and repeat themselves across items.
DIGESTS = st.lists(st.sampled_from(b"\0\1"), min_size=10, max_size=10).map(lambda said: bytes(said) + bytes(6))
STEPS = st.lists(st.tuples(st.booleans(), DIGESTS, st.sampled_from([0, 1, 256, 2**31 - 1])), max_size=80)


@given(STEPS)
def test_places_are_found_as_in_a_dict(steps: list[tuple[bool, bytes, int]]):
    made, known = Places(), dict[bytes, int]()
    for is_added, digest, place in steps:
        if is_added and digest not in known:
            made.add(digest, place)
            known[digest] = place
        elif not is_added and digest in known:
            made.remove(digest, known.pop(digest))
        assert made.find(digest) == known.get(digest, NOWHERE)
    assert all(made.find(digest) == place for digest, place in known.items())


def test_of_two_that_cannot_be_told_apart_the_one_that_is_meant_goes():
    made, one, other = Places(), bytes(15) + b"\1", bytes(15) + b"\2"
    made.add(one, 7)
    made.add(other, 8)
    made.remove(one, 7)
    assert made.find(other) == 8
    made.remove(other, 8)
    assert made.find(one) == NOWHERE
