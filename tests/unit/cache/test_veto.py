"""Hard rules: what they refuse, and what they let through to the verifier."""

from __future__ import annotations

import pytest

from services.cache.veto import veto
from services.cache.wording import wording

REFUSED = [
    ("numbers", "How do I lose 5 pounds in a week?", "How do I lose 10 pounds in a week?"),
    ("numbers", "Is three a prime number?", "Is four a prime number?"),
    ("reversal", "What was her life before the war?", "What was her life after the war?"),
    ("reversal", "Is it safe to smoke in Rome?", "Is it not safe to smoke in Rome?"),
    ("reversal", "Can I live with diabetes?", "Can I live without diabetes?"),
    ("reversal", "Should I buy Tesla stock?", "Should I sell Tesla stock?"),
    ("reversal", "Do cats always land on their feet?", "Do cats never land on their feet?"),
    ("reversal", "How can I become more polite?", "How can I become less polite?"),
    ("gender", "If they met, would he like her?", "If they met, would she like him?"),
    ("gender", "Would his family be happy?", "Would Maria's family be happy?"),
    ("connective", "Is she a nurse or a pilot?", "Is she both a nurse and a pilot?"),
    ("habit", "Is Brian an accountant?", "Did Brian use to be an accountant?"),
    ("roles", "How do I convert miles to kilometres?", "How do I convert kilometres to miles?"),
    ("roles", "Does Nicole remember Aaron?", "Does Aaron remember Nicole?"),
    ("roles", "Does Nicole prefer Aaron?", "Is Nicole preferred by Aaron?"),
    ("roles", "Did Oslo teach Lima?", "Was Oslo taught by Lima?"),
]
LET_THROUGH = [
    ("How do I reset my password?", "How can I reset my password?"),
    ("What is the difference between tea and coffee?", "What's the difference between coffee and tea?"),
    ("Tell me 3 ways to save money.", "What are three ways to save money?"),
    ("How can I become a hopeful person?", "How can I become a person who is not hopeless?"),
    ("How can I be more optimistic?", "How can I be less pessimistic?"),
    ("Does Nicole prefer Aaron?", "Is Aaron preferred by Nicole?"),
    ("Did Oslo teach Lima?", "Was Lima taught by Oslo?"),
    ("What did Ada Lovelace write?", "What was written by Ada Lovelace?"),
    ("", ""),
    ("日本の首都はどこですか", "日本の首都は何ですか"),
]


@pytest.mark.parametrize(("rule", "one", "other"), REFUSED)
def test_a_change_that_turns_the_answer_is_refused_by_its_rule_either_way_round(rule: str, one: str, other: str):
    assert veto(wording(one), wording(other)) == rule
    assert veto(wording(other), wording(one)) == rule


@pytest.mark.parametrize(("one", "other"), LET_THROUGH)
def test_another_way_to_say_the_same_is_let_through(one: str, other: str):
    assert veto(wording(one), wording(other)) is None
    assert veto(wording(other), wording(one)) is None
