"""A prompt as numbers: what is counted, what is folded together, and how long texts are read."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.router.quality.features import BUCKET_BITS, NAMES, read, terms


def cheap(prompt: str, name: str) -> float:
    return float(read(prompt, 7).cheap[NAMES.index(name)])


@given(some.text(max_size=300), some.integers(0, 10_000))
def test_any_text_can_be_read(prompt, in_tokens):
    reading = read(prompt, in_tokens)
    assert reading.cheap.shape == (len(NAMES),)
    assert np.isfinite(reading.cheap).all()
    assert (np.diff(reading.buckets.astype(np.int64)) > 0).all()
    assert reading.buckets.shape == reading.weights.shape
    assert not len(reading.buckets) or int(reading.buckets[-1]) < 1 << BUCKET_BITS


@given(some.text(some.sampled_from("aZé01 ,.$=+\n\\²"), max_size=40))
def test_a_term_is_a_run_of_letters_or_of_digits_or_one_sign(prompt):
    data = prompt.encode()
    said = re.findall(rb"[A-Za-z\x80-\xff]+|[0-9]+|[$\\^={}<>+*/%]", data)
    assert terms(data) == [re.sub(rb"[0-9]", b"0", term).lower() for term in said]


def test_case_and_digits_are_folded():
    one, other = read("Add 12 Apples", 3), read("add 98 apples", 3)
    assert (one.buckets == other.buckets).all()


def test_the_order_of_words_is_seen_in_their_pairs():
    one, other = read("dog bites man", 3), read("man bites dog", 3)
    assert len(set(one.buckets.tolist()) & set(other.buckets.tolist())) == 3


def test_a_word_that_comes_twice_weighs_more_than_one_that_comes_once():
    assert read("a b a c", 3).weights.max() == np.float32(1 + np.log(2))


def test_options_are_counted():
    assert cheap("Which?\nA. one\nB. two\nC. three", "options") == pytest.approx(np.log1p(3))
    assert cheap("Which?\n(A) one\n(B) two", "options") == pytest.approx(np.log1p(2))
    assert cheap("Nothing to choose. A. is a letter", "options") == 0


def test_a_long_text_is_read_at_its_head_and_tail():
    text = "head " * 2_000 + "middle " * 2_000 + "tail " * 2_000
    plain = read(text, 6_000)
    assert (plain.buckets == read(text.replace("middle", "centre"), 6_000).buckets).all()
    assert len(plain.buckets) < len(read("head tail middle", 3).buckets) + 5
