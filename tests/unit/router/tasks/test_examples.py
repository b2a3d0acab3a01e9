"""Tasks by examples: what ships, on prompts written apart from it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from services.embedding.shared import minilm
from services.router.tasks.classify import TASK_TYPES
from services.router.tasks.example_keeper import shipped
from services.router.tasks.examples import OTHER, TaskExamples

PROMPTS = tomllib.loads((Path(__file__).parent / "prompts.toml").read_text(encoding="utf-8"))["prompts"]


@pytest.fixture(scope="module")
def examples():
    ships = shipped()
    return TaskExamples(ships.texts, ships.vectors, ships.labels, margin=ships.margin)


def share(examples, prompts, wanted):
    found = [examples.task(prompt, minilm().embed(prompt), TASK_TYPES) for prompt in prompts]
    return sum(task == wanted for task in found) / len(found)


def test_each_task_has_forty_examples_and_thirty_prompts_none_of_them_the_same():
    ships = shipped()
    assert set(ships.labels) == {*TASK_TYPES, OTHER}
    assert all(ships.labels.count(task) >= 40 for task in TASK_TYPES)
    assert all(len(PROMPTS[task]) >= 30 for task in TASK_TYPES)
    asked = {prompt.lower() for prompts in PROMPTS.values() for prompt in prompts}
    assert asked.isdisjoint(text.lower() for text in ships.texts)


def test_the_vectors_are_those_of_the_embedder_that_ships():
    ships = shipped()
    assert ships.model_hash == minilm().model_hash
    for place in (0, 100, 300):
        assert float(ships.vectors[place] @ minilm().embed(ships.texts[place])) > 0.999


def test_nine_in_ten_fresh_prompts_are_of_their_task(examples):
    shares = {task: share(examples, PROMPTS[task], task) for task in TASK_TYPES}
    assert np.mean(list(shares.values())) >= 0.9, shares
    assert min(shares.values()) >= 0.75, shares


def test_what_is_of_no_task_is_unknown(examples):
    assert share(examples, PROMPTS["off_task"], None) >= 0.8


def test_only_known_tasks_are_found(examples):
    prompt = "Translate this sentence into French, please."
    vector = minilm().embed(prompt)
    assert examples.task(prompt, vector, TASK_TYPES) == "translation"
    assert examples.task(prompt, vector, ["simple_qa"]) != "translation"
    assert examples.task(prompt, vector, []) is None
