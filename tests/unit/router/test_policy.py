"""Policies from files: what ships, what an operator puts in its place, and what is wrong with a file."""

from __future__ import annotations

import pytest

from services.chassis.settings import StartError
from services.router.policy import load_policies

ROW = """
[policy.{name}]
strategy = "rule"
reference_model = "{reference}"
default_task = "chat"
[policy.{name}.tasks]
chat = {{ primary = "a", fallback = "b" }}
"""


def row(name: str = "auto", reference: str = "big") -> str:
    return ROW.format(name=name, reference=reference)


def test_what_ships_has_seven_tasks_each_with_two_models():
    policies = load_policies(None)
    assert sorted(policies) == ["auto", "local_first"]
    for policy in policies.values():
        assert len(policy.row.tasks) == 7
        for route in policy.row.tasks.values():
            assert route.primary
            assert route.fallback
            assert route.primary != route.fallback
    assert policies["auto"].row.default_task == "simple_qa"


def test_an_operators_file_replaces_equal_names_and_adds_others(tmp_path):
    file = tmp_path / "routes.toml"
    file.write_text(row() + row("mine"))
    policies = load_policies(file)
    assert sorted(policies) == ["auto", "local_first", "mine"]
    assert list(policies["auto"].row.tasks) == ["chat"]
    assert policies["auto"].row.tasks["chat"].fallback == "b"
    assert policies["local_first"] == load_policies(None)["local_first"]


def test_the_hash_is_of_the_content_and_not_of_the_name(tmp_path):
    file = tmp_path / "routes.toml"
    file.write_text(row("one") + row("two") + row("three", reference="other"))
    policies = load_policies(file)
    assert policies["one"].content_hash == policies["two"].content_hash != policies["three"].content_hash
    assert len(policies["one"].content_hash) == 64


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["policy: is missing"]),
        ("[policy.x]", ["policy.policy.x.strategy: is missing", "policy.policy.x.tasks: is missing"]),
        (row().replace('"rule"', '"magic"'), ["policy.auto.strategy: must be one of rule"]),
        (row().replace('default_task = "chat"', 'default_task = "none"'), ["default_task is none of its tasks"]),
        (row().replace("fallback", "falback"), ["falback: is not known; known are fallback, primary"]),
        (row().replace('"a"', "1"), ["tasks.chat.primary: is not text"]),
        ("[policy\n", ["Expected ']'"]),
    ],
)
def test_a_wrong_file_is_refused_with_all_its_problems(tmp_path, text, problems):
    file = tmp_path / "routes.toml"
    file.write_text(text)
    with pytest.raises(StartError) as caught:
        load_policies(file)
    said = str(caught.value)
    assert all(line.startswith(str(file)) for line in said.splitlines())
    for problem in problems:
        assert problem.removeprefix("policy.policy.").replace("x.", "", 1) in said or problem in said


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StartError, match="cannot be read"):
        load_policies(tmp_path / "none.toml")
