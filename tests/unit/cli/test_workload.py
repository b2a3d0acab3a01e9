"""The demo's workload is what the demo says it is."""

from __future__ import annotations

from collections import Counter

from services.cli.workload import load_workload


def test_it_has_more_than_eighty_prompts_of_all_seven_tasks():
    prompts = {step.prompt.id: step.prompt for step in load_workload() if step.prompt is not None}
    assert len(prompts) >= 80
    assert {prompt.task for prompt in prompts.values()} == {
        *("code_generation", "code_review", "summarization", "classification", "research", "simple_qa", "translation")
    }


def test_it_has_every_kind_of_step():
    kinds = Counter(step.kind for step in load_workload())
    assert kinds["bad"] == 1
    assert min(kinds[kind] for kind in ("repeat", "rephrase", "near_miss", "chat")) >= 6
    assert kinds["stream"] >= 1


def test_a_repeat_is_the_same_request_as_an_earlier_step_and_a_near_miss_is_not():
    seen: set[tuple[str, str]] = set()
    for step in load_workload():
        asked = (step.text, step.hint)
        if step.kind == "repeat":
            assert asked in seen
        elif step.kind in ("near_miss", "rephrase"):
            assert asked not in seen
        seen.add(asked)


def test_the_long_conversation_calls_tools_also_in_parallel():
    turns = [step for step in load_workload() if step.conversation]
    assert len(turns) >= 8
    assert sum(bool(step.tool_results) for step in turns) >= 3
    assert max(len(step.tool_results) for step in turns) >= 2


def test_every_answer_can_be_checked():
    for step in load_workload():
        if step.prompt is not None:
            assert step.is_right(step.prompt.right)
            assert not any(step.is_right(wrong) for wrong in step.prompt.wrong)
