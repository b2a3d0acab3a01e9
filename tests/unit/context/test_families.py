"""Models find their vocabulary, and texts their script class."""

from __future__ import annotations

import pytest

from services.context.families import Script, family_of, script_of
from services.context.ranks import CL100K, O200K


@pytest.mark.parametrize(
    ("model", "encoding", "is_exact"),
    [
        ("gpt-5", O200K, True),
        ("gpt-5-mini-2025-08-07", O200K, True),
        ("openai/gpt-4o", O200K, True),
        ("chatgpt-4o-latest", O200K, True),
        ("gpt-4.1-nano", O200K, True),
        ("o1", O200K, True),
        ("o3-mini", O200K, True),
        ("gpt-oss-120b", O200K, True),
        ("gpt-4", CL100K, True),
        ("gpt-4-turbo", CL100K, True),
        ("ft:gpt-3.5-turbo:acme::x", CL100K, True),
        ("gpt-35-turbo", CL100K, True),
        ("claude-sonnet-4-5", O200K, False),
        ("gemini-2.5-pro", O200K, False),
        ("qwen2.5:7b", O200K, False),
        ("EleutherAI/gpt-neo-2.7B", O200K, False),
        ("something-new", O200K, False),
    ],
)
def test_a_model_is_counted_with(model, encoding, is_exact):
    family = family_of(model)
    assert (family.encoding, family.is_exact) == (encoding, is_exact)


def test_a_distilled_model_counts_like_its_body():
    assert family_of("deepseek-r1-distill-llama-70b") is family_of("llama-3.3-70b")
    assert family_of("deepseek-r1-distill-qwen-7b") is family_of("qwen3")
    assert family_of("deepseek-v3") is not family_of("llama-3.3-70b")


@pytest.mark.parametrize("model", ["claude-opus-4", "llama3", "kimi-k2", "deepseek-chat", "gemini-2.5-flash", "other"])
def test_safe_factors_are_not_below_the_estimate(model):
    family = family_of(model)
    for factor in (*family.scripts.values(), family.tools):
        assert 0 < factor.estimate <= factor.safe
    assert set(family.scripts) == set(Script)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain words", Script.ASCII),
        ("Die Größe der Änderung ist schön und gut", Script.LATIN),
        ("Привет, как твои дела сегодня?", Script.TWO_BYTES),
        ("مرحبا بالعالم", Script.TWO_BYTES),
        ("今天天气很好", Script.THREE_BYTES),
        ("🎉", Script.THREE_BYTES),
    ],
)
def test_script_of_a_text(text, script):
    assert script_of(text, len(text.encode())) is script
