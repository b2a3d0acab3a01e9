"""Which task type a prompt is: a table of prompts, the simulator's bank, and how long it may take."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

import services.simulator
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.tasks.classify import classify, last_user_text
from tests.unit.router.samples import POLICIES, assistant, message, talk, user

TASKS = sorted(POLICIES["auto"].row.tasks)
BANK = Path(services.simulator.__file__).parent / "bank"
DEFAULT = "simple_qa"


def task_of(text: str, hint: str = "") -> str:
    return classify(talk(text), hint, TASKS, DEFAULT)[0]


PROMPTS = {
    "translation": (
        "Translate this letter into French.",
        "How do you say 'good night' in Japanese?",
        "Put this into Spanish: I am late.",
    ),
    "code_review": (
        "Please review this function for mistakes: def f(x): return x",
        "What is the bug in `for i in range(1, n): total = total + i`?",
        "What's wrong with this loop? while True: pass",
        "Rate the quality of this code: class A { void everything() { } }",
    ),
    "code_generation": (
        "Write a Python function that reverses a list.",
        "Implement a binary search method in Rust.",
        "Please code a small Python script for this.",
        "Give me a regex for e-mail addresses",
    ),
    "summarization": (
        "Summarise the following report.",
        "TL;DR of this thread?",
        "What are the key points of the minutes below?",
    ),
    "classification": (
        "Classify this ticket.",
        "Is this mail spam or not?",
        "Which category does this product belong to?",
        "What is the sentiment of 'I love it'?",
    ),
    "research": (
        "Compare the economics of wind and solar power in depth.",
        "What are the trade-offs of microservices?",
        "Analyze the causes of the 1929 crash.",
    ),
    "simple_qa": ("What is the capital of France?", "How many days are in a leap year?", "hi", ""),
}


@pytest.mark.parametrize(
    ("task", "prompt"), [(task, prompt) for task, prompts in PROMPTS.items() for prompt in prompts]
)
def test_a_prompt_is_of_its_task(task, prompt):
    assert task_of(prompt) == task


def test_the_shipped_table_has_the_seven_task_types_of_the_prompts():
    assert sorted(PROMPTS) == TASKS


def test_the_bank_is_classified_to_its_own_task_or_left_to_the_default():
    right, wrong = Counter[str](), Counter[str]()
    for file in sorted(BANK.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for prompt in (row["prompt"], *row.get("rephrasings", ())):
                hit = task_of(prompt) in (row["task"], DEFAULT)
                (right if hit else wrong)[row["task"]] += 1
    assert sorted(right) == TASKS
    rates = {task: right[task] / (right[task] + wrong[task]) for task in TASKS}
    print({task: round(rate, 3) for task, rate in rates.items()})
    assert right.total() / (right.total() + wrong.total()) >= 0.9
    assert min(rates.values()) >= 0.7, rates


def test_most_of_the_bank_is_found_without_the_default():
    found = every = 0
    for file in sorted(BANK.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found += task_of(row["prompt"]) == row["task"]
            every += 1
    print(f"{found} of {every}")
    assert found / every >= 0.7


def test_a_known_hint_decides_and_an_unknown_one_falls_through():
    source = decision_pb2.TaskSource
    assert classify(talk("Translate it"), "research", TASKS, DEFAULT) == ("research", source.TASK_SOURCE_HINT)
    assert classify(talk("Translate it"), "cooking", TASKS, DEFAULT) == ("translation", source.TASK_SOURCE_RULE)
    assert classify(talk("hi"), "cooking", TASKS, DEFAULT) == (DEFAULT, source.TASK_SOURCE_DEFAULT)


def test_a_task_that_the_policy_does_not_have_is_not_found():
    assert classify(talk("Translate it"), "", ["simple_qa"], DEFAULT)[0] == DEFAULT


def test_only_the_last_words_of_the_person_count():
    conversation = talk(
        "Translate it", assistant("done"), user("and now", "hello"), message(chat_pb2.ROLE_ASSISTANT, "Summarise")
    )
    assert last_user_text(conversation) == "and now\nhello"
    assert classify(conversation, "", TASKS, DEFAULT)[0] == DEFAULT
    assert last_user_text(talk(assistant("x"))) == ""


HOSTILE = ["SELECT FROM ", "SELECT ", "review SELECT ", "`(", "review ", "```", "def a(", "is this ", "write ", "`(=\n"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_prompt_holds_the_event_loop_up(piece):
    text = piece * (100_000 // len(piece))
    took = []
    for _ in range(3):  # the quickest: a busy machine is no failure
        started = time.process_time()
        task_of(text)
        took.append(time.process_time() - started)
    assert min(took) < 0.1
