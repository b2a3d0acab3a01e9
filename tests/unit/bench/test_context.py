"""The scorers of the context benches read rows as they are meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiktoken

from bench import score_context, score_counting
from bench.context.written import NAMES, written

CONVERSATION = {
    "conversation": "c",
    "turns": [
        {"id": "1", "text": "I live in Bergen."},
        {"id": "2", "text": "And a boat.", "image_caption": "a boat"},
        {"id": "3", "text": "Good night."},
    ],
}
QUESTIONS = [
    {"id": "q0", "conversation": "c", "category": "single_hop", "evidence": ["1"]},
    {"id": "q1", "conversation": "c", "category": "multi_hop", "evidence": ["1", "2"]},
    {"id": "q2", "conversation": "c", "category": "adversarial", "evidence": ["3"]},
    {"id": "q3", "conversation": "c", "category": "single_hop", "evidence": []},
]


@pytest.fixture
def labels(tmp_path: Path):
    (tmp_path / "conversations.jsonl").write_text(json.dumps(CONVERSATION))
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    return score_context.Labels(tmp_path)


@pytest.fixture
def letters():
    """An encoding of one token per byte."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    return tiktoken.Encoding("letters", pat_str=r"[\s\S]", mergeable_ranks=ranks, special_tokens={})


def row(question: str, *texts: str, artefact: str = "shipped", budget: int = 1_000):
    messages = [{"role": "user", "text": text, "source_ids": []} for text in texts]
    return {"question": question, "budget": budget, "artefact": artefact, "messages": messages, "tokens": 1}


def test_a_turn_is_kept_when_its_text_stands_in_a_message(labels, letters):
    rows = [
        row("q0", "Ann: I live in Bergen.\nBob: so"),
        row("q1", "I live in Bergen.", "And a boat."),
        row("q2", "nothing"),
        row("q0", artefact="baseline"),
    ]
    figures = score_context.recall(rows, labels, letters)
    shipped = figures["shipped"]["1000"]
    assert shipped["recall"] == 75.0  # the caption belongs to the second turn; q3 has no evidence
    assert shipped["by_kind"] == {"adversarial": 0.0, "multi_hop": 50.0, "single_hop": 100.0}
    assert (shipped["questions"], shipped["gain"]) == (2, 75.0)


def test_a_missing_row_counts_as_nothing_kept(labels, letters):
    figures = score_context.recall([row("q0", "I live in Bergen.")], labels, letters)
    assert figures["shipped"]["1000"]["recall"] == 50.0


def test_tokens_are_counted_anew(labels, letters):
    long, short = row("q0", "x" * 993, "y", budget=1_000), row("q0", "x" * 991, "y", budget=1_000)
    assert score_context.tokens(long, letters) == 1_002
    assert score_context.recall([long], labels, letters)["shipped"]["1000"]["over_budget"] == 1
    assert score_context.recall([short], labels, letters)["shipped"]["1000"]["over_budget"] == 0


def request(names: str, kept: tuple[str, ...] = (), question: str | None = None):
    messages = [{"sha": name, "tokens": 10} for name in names]
    common = {"policy": "shipped", "conversation": "c", "request": 1, "messages": messages}
    return common | {"question": question, "kept": list(kept)}


def test_cached_is_the_longest_start_shared_with_one_of_the_last_ten(labels):
    rows = [request("sab"), request("sxy", ("1",), "q0"), request("sabc"), *[request("z")] * 10, request("sab")]
    figures = score_context.replay(rows, labels)["shipped"]
    cached = 0 + 10 + 30 + 0 + 9 * 10 + 0
    assert figures["cached_share"] == round(100 * cached / (10 * (3 + 3 + 4 + 10 + 3)), 2)
    assert (figures["recall"], figures["questions"], figures["requests"]) == (100.0, 1, 14)


def test_errors_of_counts_are_shares_of_what_was_reported():
    def counted(reported: int, estimate: int, bound: int, provider: str = "p"):
        count = {"estimate": estimate, "upper_bound": bound}
        return {"id": "x", "provider": provider, "reported": reported, "cold": count, "calibrated": count}

    figures = score_counting.figures([counted(100, 90, 99), counted(100, 100, 100), counted(200, 300, 300, "r")])
    assert figures["cold"]["all"] == {
        "exchanges": 3,
        "median": 10.0,
        "p90": 50.0,
        "p95": 50.0,
        "within_10": 66.67,
        "bound_held": 66.67,
    }
    assert figures["calibrated"]["by_provider"]["r"]["median"] == 50.0


def test_written_conversations_are_the_same_for_a_seed_and_hold_their_answers():
    first, again = written(3), written(3)
    assert first == again
    assert first != written(4)
    for question, places in first.questions:
        assert places
        named = next(name for name in NAMES if name in question)
        assert {first.turns[place].speaker for place in places} == {named}
