"""An entry and its record say the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.cache.entry import Moment
from services.cache.fingerprint import scope_part
from services.cache.records import named, packed, record_is_over, unpacked
from tests.unit.cache.samples import START, entry

TEXTS = st.text(max_size=40)


@given(TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=3), st.floats(0, 1e9))
def test_a_record_gives_back_its_entry(text: str, tenant: str, model: str, tags: list[str], ttl: float):
    kept = entry(text, tenant=tenant, model=model, tags=tuple(tags), ttl=ttl, stored_at=START + ttl / 7)
    assert unpacked(packed(kept, kept.id_bytes())) == kept
    assert unpacked(packed(kept, kept.id_bytes()), kept.fingerprint) == kept


@given(TEXTS, TEXTS)
def test_a_record_is_that_of_its_own_name_and_behind_its_own_wall(text: str, tenant: str):
    kept = entry(text, tenant=tenant)
    record, name = packed(kept, kept.id_bytes()), bytes.fromhex(kept.entry_id)
    scope = scope_part(kept.canonical)
    for cut in (0, 8, len(scope) - 8):
        held = named(record, name, scope[8 : 8 + cut])
        assert held == (tenant, kept.stored_at, kept.expires_at, kept.age_zero)
    assert named(record, name, scope[8:] + b"other") is None
    assert named(record, name, kept.canonical[8:] + kept.reply[:1]) is None  # a wall ends with what is asked
    assert named(record, bytes(16), b"") is None


@given(st.floats(-1e4, 1e6), st.floats(-1e4, 1e6))
def test_a_record_is_over_when_its_entry_is(wall: float, monotonic: float):
    kept, now = entry("q", ttl=500.0), Moment(START + wall, 1_000.0 + monotonic)
    assert record_is_over(packed(kept, kept.id_bytes()), now) == kept.is_over(now)
