"""The short answer in a model's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.router.judge.short_answer import extracted

FENCED = """```json
{
    "reasoning": "Half of 2 bolts is 1 bolt; \\(2 + 1 = 3\\), not 30 or 31.",
    "answer": "3"
}
```"""
BEHIND = """{"answer": "12 miles"}

I took 3 roads of 4 miles each, as on page 77."""


@pytest.mark.parametrize(
    ("text", "options", "found"),
    [
        ("Let us think.\nThe answer is (C).", 4, "c"),
        ("B", 4, "b"),
        ("(D).", 4, "d"),
        ("**Answer: B**", 4, "b"),
        ('{"why": "A is wrong", "answer": "C"}', 4, "c"),
        ("I think the correct option is b.", 4, "b"),
        ("A good answer is a long one", 4, None),
        ("Hard to say.", 4, None),
    ],
)
def test_where_the_prompt_lists_options_it_is_a_letter(text, options, found):
    assert extracted(text, options) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FENCED, "3.0"),
        (BEHIND, "12.0"),
        ('{"answer": 42, "sure": true}', "42.0"),
        ('{"answer": ["a", 2]}', '["a", 2]'),
        ('"answer": "\'bcksrutq\'"\n}', "bcksrutq"),
        ("So x = 3/4, in all \\boxed{\\frac{3}{4}}.", "\\frac{3}{4}"),
        ("2 and 2 make 4.\n#### $1,234", "1234.0"),
        ("There are 7 days. The answer is Paris.", "paris"),
        ("Final answer: **3.5 km**", "3.5"),
        ("So there are 12 apples and 30 pears, 42 in all.", "42.0"),
        ("It takes $54.", "54.0"),
        ("Paris", "paris"),
    ],
)
def test_else_it_is_what_the_text_calls_its_answer_or_ends_with(text, found):
    assert extracted(text, 0) == found


@pytest.mark.parametrize("text", ["```python\nprint(1)\n```", "", "word " * 200])
def test_some_texts_have_none(text):
    assert extracted(text, 0) is None


@pytest.mark.parametrize(
    "same", [("54", "$54.00", "54 miles", "x = 54"), ("2*sqrt(13)", "2 * sqrt(13)"), ("50%", "50")]
)
def test_units_and_spaces_are_no_difference(same):
    assert len({extracted(f'{{"answer": "{one}"}}', 0) for one in same}) == 1


@pytest.mark.parametrize("apart", [("12-10d", "12"), ("2:00 pm", "2"), ("533223*", "533223"), ("-5", "5")])
def test_more_than_a_number_stays_what_it_is(apart):
    assert len({extracted(f'{{"answer": "{one}"}}', 0) for one in apart}) == 2


@given(some.text(some.sampled_from('ab1 "\\{}:,$answer*#\n'), max_size=300), some.integers(0, 4))
def test_any_text_is_read(text, options):
    found = extracted(text, options)
    assert found is None or found


@pytest.mark.parametrize(
    "piece", ['answer": ', "answer is ", "answer:  ", "\\boxed{", '"answer":     b', "1,", "#### a\n"]
)
def test_a_long_text_without_an_end_is_read_in_time(piece):
    extracted(piece * 20_000, 0)
