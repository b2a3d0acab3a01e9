"""Every reason of the contract is a status and a word of both dialects."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.chassis.errors import BY_REASON as REASONS
from services.chassis.errors import (
    ContextTooLong,
    Internal,
    InvalidRequest,
    NoCandidateLeft,
    NotFound,
    Overloaded,
    ProviderRateLimited,
    ServiceError,
    UnknownModel,
)
from services.router.edge.anthropic_messages import AnthropicMessages
from services.router.edge.errors import BY_REASON, Problem, problem_of
from services.router.edge.openai_chat import OpenAIChat

UNCOUNTED = "the conversation does not fit the model's window (model: m, provider: p)"


def said(error: ServiceError) -> Problem:
    return problem_of(error, lambda field: f"their {field}")


def test_every_reason_of_the_contract_has_its_status():
    assert set(BY_REASON) == set(REASONS)
    assert all(400 <= status < 600 for status, _ in BY_REASON.values())


def test_the_page_shows_the_table():
    page = (Path(__file__).parents[4] / "docs" / "http.md").read_text()
    rows = {
        reason: (int(status), code) for reason, status, code in re.findall(r"\| ([A-Z_]+) \| (\d+) \| `(\w+)`", page)
    }
    assert rows == BY_REASON


def test_a_wrong_field_is_named_in_the_callers_terms():
    problem = said(InvalidRequest(field="x", problem="is bad"))
    assert (problem.status, problem.param, problem.message) == (400, "their x", "their x: is bad")


def test_how_long_to_wait_is_said_in_both_ways():
    problem = said(Overloaded(queue="calls", retry_after=timedelta(milliseconds=1_200)))
    assert problem.headers() == [(b"retry-after", b"2"), (b"retry-after-ms", b"1200")]
    assert (problem.openai_type, problem.anthropic_type) == ("rate_limit_error", "rate_limit_error")


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (NoCandidateLeft(), [(b"x-should-retry", b"false")]),
        (NotFound(name="a cached answer"), [(b"x-should-retry", b"false")]),
        (ProviderRateLimited(provider="p"), []),
    ],
)
def test_what_may_have_cost_money_is_not_repeated(error: ServiceError, headers: list[Any]):
    assert said(error).headers() == headers


def test_our_mistake_has_an_id_and_nothing_else():
    problem = said(Internal(error_id="e1"))
    assert (problem.status, problem.message) == (500, "our mistake (error_id: e1)")
    assert (problem.openai_type, problem.anthropic_type) == ("server_error", "api_error")


@pytest.mark.parametrize(
    ("error", "to_openai", "to_anthropic"),
    [
        (
            ContextTooLong(tokens="9120", window="8192", model="m"),
            "This model's maximum context length is 8192 tokens, and the conversation has 9120",
            "prompt is too long: 9120 tokens > 8192 maximum",
        ),
        (
            ContextTooLong(model="m", provider="p"),
            f"This model's maximum context length is exceeded: {UNCOUNTED}",
            f"prompt is too long: {UNCOUNTED}",
        ),
    ],
)
def test_a_conversation_that_is_too_long_is_called_so_in_each_vendors_words(
    error: ServiceError, to_openai: str, to_anthropic: str
):
    assert OpenAIChat().error(said(error))["error"]["message"] == to_openai
    assert AnthropicMessages().error(said(error))["error"]["message"] == to_anthropic


def test_an_unknown_model_is_about_the_model():
    problem = said(UnknownModel(name="x", known="a,b"))
    assert (problem.status, problem.code, problem.param) == (404, "model_not_found", "model")
    assert problem.anthropic_type == "not_found_error"
