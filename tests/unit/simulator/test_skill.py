"""Who is right is plausible, varied and the same each time."""

from __future__ import annotations

from collections import Counter

from services.simulator.skill import difficulty, is_right, spoken_answer
from services.simulator.tasks import TASKS


def test_each_task_has_a_prompt_that_a_cheap_model_gets_wrong_and_a_frontier_one_right(bank, speakers):
    cheap = [m for m in speakers.values() if m.tier in ("small", "medium")]
    frontier = [m for m in speakers.values() if m.tier == "frontier"]
    parted = {
        p.task
        for p in bank.by_id.values()
        if any(not is_right(m, p) for m in cheap) and any(is_right(m, p) for m in frontier)
    }
    assert parted == set(TASKS)


def test_difficulties_stay_within_their_level(bank):
    base = {"easy": 0.25, "medium": 0.55, "hard": 0.8}
    assert all(abs(difficulty(p) - base[p.level]) <= 0.15 for p in bank.by_id.values())


def test_dearer_tiers_are_right_more_often(bank, speakers):
    share: dict[str, list[int]] = {}
    for model in speakers.values():
        right = sum(is_right(model, prompt) for prompt in bank.by_id.values())
        share.setdefault(model.tier, []).append(right)
    assert max(share["small"]) < min(share["medium"]) < max(share["medium"]) < min(share["large"])
    assert max(share["large"]) < min(share["frontier"])


def test_two_of_three_wrong_answers_are_fluent(bank, speakers):
    kinds: Counter[bool] = Counter()
    for model in speakers.values():
        for prompt in bank.by_id.values():
            if not is_right(model, prompt):
                kinds[spoken_answer(model, prompt)[0] in prompt.wrong] += 1
    assert 0.6 < kinds[True] / kinds.total() < 0.73


def test_every_flaw_occurs(bank, speakers):
    said = [(spoken_answer(m, p), p) for m in speakers.values() for p in bank.by_id.values()]
    flaws = [text for (text, _), p in said if text not in (p.right, *p.wrong)]
    assert any(text == "" for text in flaws)
    assert any(text.startswith("I'm sorry") for text in flaws)
    assert any(finish == "length" for (_, finish), _ in said)
    assert any(len(text.split(". ")) >= 5 for text in flaws)


def test_an_answer_is_known_in_advance_and_never_changes(bank, speakers):
    # Written down once: another value means that old runs can no longer be compared.
    prompt = bank.by_id["qa-socks-drawer"]
    assert round(difficulty(prompt), 4) == 0.7207
    assert spoken_answer(speakers["gpt-5-nano"], prompt) == spoken_answer(speakers["gpt-5-nano"], prompt)
