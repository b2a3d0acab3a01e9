"""Money, enums and tables as a person reads them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.errors import UnknownModel
from services.cli import show


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=160, soft_wrap=True)


def _said(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize(
    ("nanousd", "text"), [(0, "$0"), (21_278, "$0.000021"), (1_500_000_000, "$1.50"), (-5_000, "$-0.000005")]
)
def test_money_has_the_digits_that_say_something(nanousd: int, text: str):
    assert show.money(nanousd) == text


def test_unpriced_is_not_shown_as_free():
    assert show.cost(chat_pb2.Cost(nanousd=0, priced=False)) == "$0 + unpriced"
    assert show.cost(chat_pb2.Cost(nanousd=0, priced=True)) == "$0"


def test_the_decision_line_names_model_reason_cost_and_degradations(console: Console):
    decision = decision_pb2.Decision(model="gpt-5", task_type="code_review", strategy="rule", simulated=True)
    decision.cache.outcome = cache_pb.CACHE_OUTCOME_MISS
    decision.cache.reason = cache_pb.CACHE_REASON_TOOLS
    decision.cost.CopyFrom(chat_pb2.Cost(nanousd=2_000_000, priced=True))
    decision.degradations.add(kind=chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE, subject="cache")
    show.decision_line(console, decision, 0.25)
    said = _said(console)
    for piece in (
        "gpt-5 (simulated)",
        "code review by rule",
        "miss (tools)",
        "$0.002000",
        "250 ms",
        "cache unavailable: cache",
    ):
        assert piece in said


def test_the_models_table_marks_what_cannot_be_called_or_priced(console: Console):
    show.models_table(console, [model_pb2.Model(id="m-1", vendor="v", tier=model_pb2.TIER_SMALL, window_tokens=8192)])
    said = _said(console)
    assert "unpriced" in said
    assert "nobody here" in said
    assert "8,192" in said


def test_a_model_that_makes_vectors_says_so_and_has_no_output_to_price(console: Console):
    prices = model_pb2.Prices(input_usd_per_mtok="0.02", output_usd_per_mtok="0")
    can = [model_pb2.CAPABILITY_EMBEDDINGS]
    show.models_table(console, [model_pb2.Model(id="e", tier=model_pb2.TIER_SMALL, capabilities=can, prices=prices)])
    row = _said(console).splitlines()[1].split()
    assert row[:5] == ["e", "small,", "vectors", "0", "0.02"]
    assert row[5] == "-"


def test_a_failure_is_one_line(console: Console):
    show.failure(console, UnknownModel(name="gpt-99", known="gpt-5"))
    assert _said(console) == "UNKNOWN_MODEL no model has this name (known: gpt-5, name: gpt-99)\n"


@pytest.mark.parametrize(
    ("cache", "lines"),
    [
        (
            {"outcome": "SEMANTIC_HIT", "similarity": 0.953, "confidence": 0.91, "threshold": 0.775},
            ["cache     semantic hit", "nearest   similarity 0.953, confidence 0.910, needed 0.775"],
        ),
        (
            {"outcome": "MISS", "reason": "VETOED", "veto": "REVERSAL", "similarity": 0.97, "threshold": 0.775},
            ["cache     miss (vetoed: reversal)", "nearest   similarity 0.970\n"],
        ),
        (
            {"outcome": "MISS", "reason": "BELOW_THRESHOLD", "similarity": 0.8, "confidence": 0.3, "threshold": 0.7},
            ["cache     miss (below threshold)", "nearest   similarity 0.800, confidence 0.300, needed 0.700"],
        ),
        ({"outcome": "NOT_ELIGIBLE", "reason": "SAMPLED"}, ["cache     not eligible (sampled)"]),
    ],
)
def test_an_explanation_says_why_the_cache_answers_or_not(console: Console, cache: dict[str, Any], lines: list[str]):
    decision = decision_pb2.Decision()
    said_by = decision.cache
    said_by.outcome = cache_pb.CacheOutcome.Value(f"CACHE_OUTCOME_{cache['outcome']}")
    said_by.reason = cache_pb.CacheReason.Value(f"CACHE_REASON_{cache.get('reason', 'UNSPECIFIED')}")
    said_by.veto = cache_pb.CacheVeto.Value(f"CACHE_VETO_{cache.get('veto', 'UNSPECIFIED')}")
    said_by.similarity, said_by.confidence = cache.get("similarity", 0.0), cache.get("confidence", 0.0)
    said_by.threshold = cache.get("threshold", 0.0)
    show.explanation(console, decision)
    said = _said(console)
    assert all(line in said for line in lines)
    assert ("nearest" in said) == (len(lines) == 2)
