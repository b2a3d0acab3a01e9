"""The bundled prompts are consistent with their own checks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.simulator.bank import BankError, load_bank
from services.simulator.check import check
from services.simulator.skill import flawed
from services.simulator.tasks import TASKS

WORKLOAD = Path(__file__).parents[3] / "services" / "cli" / "workload.jsonl"


def test_every_task_has_at_least_twelve_prompts_and_the_bank_ninety(bank):
    counts = Counter(prompt.task for prompt in bank.by_id.values())
    assert set(counts) == set(TASKS)
    assert min(counts.values()) >= 12
    assert sum(counts.values()) >= 90


def test_every_right_answer_passes_its_check(bank):
    assert [p.id for p in bank.by_id.values() if not check(p.right, p.check)] == []


def test_every_wrong_answer_fails_its_check(bank):
    passing = [(p.id, w) for p in bank.by_id.values() for w in p.wrong if check(w, p.check)]
    assert passing == []


def test_no_flawed_answer_passes_the_check_by_luck(bank):
    flaws = ("empty", "refusal", "cut", "repeated")
    spoilt = ((p, flawed(w, f)[0]) for p in bank.by_id.values() for w in p.wrong for f in flaws)
    assert [p.id for p, text in spoilt if check(text, p.check)] == []


def test_wrong_answers_are_of_like_length(bank):
    odd = [p.id for p in bank.by_id.values() for w in p.wrong if not 0.5 <= len(w) / len(p.right) <= 2]
    assert odd == []


def test_near_misses_want_another_answer_than_their_twins(bank):
    pairs = [(p, bank.by_id[p.near_miss_of]) for p in bank.by_id.values() if p.near_miss_of]
    assert len(pairs) >= 7
    assert [p.id for p, twin in pairs if check(twin.right, p.check) or check(p.right, twin.check)] == []


def test_a_prompt_is_found_by_its_text_with_other_white_space_and_by_a_rephrasing(bank):
    prompt = bank.by_id["qa-feb-2023"]
    assert bank.find("  How many days\n did February have in 2023?") is prompt
    assert bank.find(prompt.rephrasings[0]) is prompt
    assert bank.find("How many days did February have in 1999?") is None


def test_a_bad_row_is_named_with_file_line_and_problem(tmp_path):
    for task in TASKS:
        (tmp_path / f"{task}.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "research.jsonl").write_text('\n{"id": "x"}\n', encoding="utf-8")
    with pytest.raises(BankError, match=r"research\.jsonl:2: missing keys .*'check'"):
        load_bank(tmp_path)


def workload() -> list[dict[str, Any]]:
    return [json.loads(line) for line in WORKLOAD.read_text(encoding="utf-8").splitlines()]


def test_the_workload_names_only_prompts_of_the_bank_and_is_as_varied_as_promised(bank):
    rows = workload()
    asked = [row["prompt_id"] for row in rows if row["kind"] != "bad"]
    assert set(asked) <= set(bank.by_id)
    assert len(set(asked)) >= 80
    assert {bank.by_id[name].task for name in asked} == set(TASKS)
    counts = Counter(row["kind"] for row in rows)
    assert counts["repeat"] >= 8
    assert counts["rephrase"] >= 6
    assert counts["near_miss"] >= 6
    assert 8 <= counts["chat"] <= 10
    assert (counts["stream"], counts["bad"]) == (2, 1)


def test_repeats_rephrasings_and_near_misses_come_after_what_they_resemble(bank):
    hints: dict[str, str | None] = {}
    for row in workload():
        if row["kind"] in ("repeat", "rephrase", "near_miss"):
            prompt = bank.by_id[row["prompt_id"]]
            first = prompt.near_miss_of if row["kind"] == "near_miss" else prompt.id
            # The hint is part of a cache entry's scope, so it has to be the same.
            assert hints[first] == row.get("hint")
        if row["kind"] == "rephrase":
            assert bank.by_id[row["prompt_id"]].rephrasings[row["rephrasing"]]
        if row["kind"] != "bad":
            hints.setdefault(row["prompt_id"], row.get("hint"))


def test_each_tool_call_of_the_conversation_has_its_tool_and_its_result(bank):
    rows = [row for row in workload() if row["kind"] == "chat"]
    sizes = []
    for row in rows:
        calls = bank.by_id[row["prompt_id"]].calls
        offered = {tool["function"]["name"] for tool in row["tools"]}
        assert {call.name for call in calls} <= offered
        results = [(r["name"], r["arguments"]) for r in row.get("tool_results", [])]
        assert results == [(call.name, json.loads(call.arguments)) for call in calls]
        sizes.append(len(calls))
    assert sum(size > 0 for size in sizes) >= 3
    assert max(sizes) > 1
