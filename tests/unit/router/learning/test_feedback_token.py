"""Tokens of feedback: ours are read, all others are nothing."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from services.router.learning.feedback_token import VALID_SECONDS, Subject, packed, read, sign, unpacked

KEY = b"k" * 32
SUBJECT = Subject("acme", "r-1", "research", "gpt-5", 1_000, 0.25, packed(b"\x00\x01"))


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0, 1), st.binary(max_size=300))
def test_what_was_signed_is_read(tenant, task, propensity, noted):
    subject = Subject(tenant, "r", task, "m", 1_000, propensity, packed(noted))
    found = read(sign(subject, KEY), KEY, now=1_001.0)
    assert found == subject
    assert unpacked(found.noted) == noted


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_changed_bit_makes_it_nothing(place, bit):
    data = bytearray(base64.urlsafe_b64decode(sign(SUBJECT, KEY) + "=="))
    data[place % len(data)] ^= 1 << bit
    assert read(base64.urlsafe_b64encode(bytes(data)).decode(), KEY, now=1_000.0) is None


@given(st.text(max_size=100))
def test_any_text_is_nothing(text):
    assert read(text, KEY, now=0.0) is None


def test_another_key_an_old_and_a_long_token_are_nothing():
    token = sign(SUBJECT, KEY)
    assert read(token, b"x" * 32, now=1_000.0) is None
    assert read(token, KEY, now=1_000.0 + VALID_SECONDS) == SUBJECT
    assert read(token, KEY, now=1_002.0 + VALID_SECONDS) is None
    assert read(token + "A" * 3_000, KEY, now=1_000.0) is None
