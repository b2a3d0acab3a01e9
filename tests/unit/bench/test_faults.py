"""The scorer of bench.faults passes what is right and nothing else; a short run of it is scored as it should."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from bench.faults import __main__ as bench
from bench.score_faults import figures, verdict


def entry(side: str, **more: Any) -> dict[str, Any]:
    counted = {"input_uncached": 0, "output": 0, "cost_nanousd": 0, "estimated": 0}
    return {"endpoint": f"S04-unary-{side}", **counted, **more}


def books(**counts: int) -> dict[str, int]:
    return {"requests": 1, "input_tokens": 0, "output_tokens": 0, "cost_nanousd": 0, **counts}


def row(scenario: str = "S04", **changes: Any) -> dict[str, Any]:
    """The fallback answered after a failure."""
    return {
        "scenario": scenario,
        "mode": "unary",
        "good": {"first": "one", "second": "two"},
        "events": [{"kinds": [], "text": "two", "complete": True, "status": None}],
        "upstream": {"first": 1, "second": 1},
        "books": {"first": books(), "second": books(input_tokens=7, output_tokens=2, cost_nanousd=9)},
        "ledger": [entry("first"), entry("second", input_uncached=7, output=2, cost_nanousd=9)],
        "seconds": 0.1,
        **changes,
    }


def error(reason: str, **metadata: str) -> list[dict[str, Any]]:
    return [{"kinds": ["end"], "text": "", "complete": False, "status": {"reason": reason, "metadata": metadata}}]


def answer(text: str) -> list[dict[str, Any]]:
    return [{"kinds": [], "text": text, "complete": True, "status": None}]


def test_a_good_endpoints_answer_with_books_that_agree_passes():
    assert verdict(row()) == ("pass", "")
    assert figures([row(), row(events=error("STREAM_INTERRUPTED"))])["unary"] == {"pass": 1, "safe": 1, "fail": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": answer("tw")},
        {"events": answer("onetwo")},
        {"seconds": 8.1},
        {"ledger": [entry("second", input_uncached=7, output=2, cost_nanousd=9)]},
        {"ledger": [entry("first"), entry("second", input_uncached=7, output=2, cost_nanousd=8)]},
        {"events": [{"kinds": [], "text": "", "complete": False, "status": None}]},
        {"scenario": "S13"},
        {"scenario": "S13", "events": error("CONTENT_FILTERED")},
    ],
)
def test_what_is_wrong_fails(wrong: dict[str, Any]):
    assert verdict(row(**wrong))[0] == "fail"


def test_a_refusal_passes_when_nobody_else_was_asked():
    alone = {"upstream": {"first": 1, "second": 0}, "books": {"first": books(), "second": books(requests=0)}}
    refused = row("S13", events=error("CONTENT_FILTERED"), ledger=[entry("first")], **alone)
    assert verdict(refused) == ("pass", "")


def test_two_failures_pass_only_when_the_error_names_both():
    away = {"first": books(), "second": books()}
    ledger = [entry("first"), entry("second")]
    both = error("NO_CANDIDATE_LEFT", attempts="a:PROVIDER_UNAVAILABLE,b:PROVIDER_AUTH")
    assert verdict(row("S14", events=both, books=away, ledger=ledger))[0] == "pass"
    one = error("PROVIDER_AUTH")
    assert verdict(row("S14", events=one, books=away, ledger=ledger))[0] == "safe"


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("topology", ["models", "endpoints"])
def test_a_run_in_short(topology: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["bench.faults", "--only", "S03,S08,S13,S14,S15", "--topology", topology])
    bench.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    good = {"pass": 5, "safe": 0, "fail": 0}
    assert told == {"unary": good, "restart": good, "fail": {"pass": 4, "safe": 1, "fail": 0}}
