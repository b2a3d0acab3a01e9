"""Policies from files: what ships, what an operator puts in its place, and what is wrong with a file."""

from __future__ import annotations

import pytest

from services.chassis.errors import InvalidRequest
from services.chassis.settings import StartError
from services.router.policy import drawn, inline_policy, load_policies, wrong_models

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
    assert sorted(policies) == ["auto", "cascade", "cost_aware", "local_first", "rule", "semantic", "threshold"]
    for policy in (policies[name] for name in ("auto", "local_first", "rule", "semantic")):
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
    assert set(policies) - set(load_policies(None)) == {"mine"}
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
        ("[policy.x]", ["policy.policy.x.strategy: is missing", "policy.policy.x.reference_model: is missing"]),
        (row().replace('"rule"', '"magic"'), ["policy.auto.strategy: must be one of auto, rule"]),
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


SPLIT = """
[policy.{name}]
strategy = "split"
reference_model = "big"
arms = {{ {arms} }}
"""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('strategy = "cost_aware"\nreference_model = "a"\nthreshold = 2', "threshold and margin must be from 0 to 1"),
        ('strategy = "fixed"\nreference_model = "a"', "fixed needs models"),
        ('strategy = "cascade"\nreference_model = "a"\njudge = "model"', "needs judge_model"),
        ('strategy = "split"\nreference_model = "a"', "a split needs arms"),
        ('strategy = "split"\nreference_model = "a"\narms = { rule = 1 }', "a split cannot be inline"),
        ('strategy = "rule"', "reference_model: is missing"),
        ('strategy = "rule"\nreference_model = a', "is not TOML (at line 2, column 19)"),
        ("strategy = ", "is not TOML (at end of document)"),
        ("x = " + "[" * 5_000, "is not TOML"),
        ("fallbacks = " + "9" * 5_000, "is not TOML"),
        ('strategy = "fixed"\nreference_model = "a"\nmodels = ["a", "a"]', "models must be different ones"),
        ('strategy = "cost_aware"\nreference_model = "a"\nquality_per_usd = inf', "must be 0 or more"),
        ('strategy = "cost_aware"\nreference_model = "a"\ndefault_task = "a b"', "a task is named by 1 to 64 of"),
        (
            f'strategy = "cost_aware"\nreference_model = "a"\ndefault_task = "{"x" * 65}"',
            "a task is named by 1 to 64 of",
        ),
        ("# " + "x" * 20_000, "is longer than"),
    ],
)
def test_a_wrong_inline_policy_is_an_invalid_request(text, problem):
    with pytest.raises(InvalidRequest) as caught:
        inline_policy(text)
    assert caught.value.metadata["field"] == "options.inline_policy"
    assert problem in caught.value.metadata["problem"]


def test_equal_inline_policies_have_equal_hashes():
    text = 'strategy = "cost_aware"\nreference_model = "a"\n'
    assert inline_policy(text).content_hash == inline_policy("# remark\n" + text).content_hash


def test_a_split_draws_its_arms_by_their_weights(tmp_path):
    file = tmp_path / "routes.toml"
    file.write_text(row("one") + row("two") + SPLIT.format(name="ab", arms="one = 3, two = 1"))
    policies = load_policies(file)
    found = [drawn(policies["ab"], policies, place / 1000) for place in range(1000)]
    assert sum(each.policy.name == "one" for each in found) == 750
    assert {(each.policy.name, each.split, each.propensity) for each in found} == {
        ("one", "ab", 0.75),
        ("two", "ab", 0.25),
    }


@pytest.mark.parametrize("arms", ["nobody = 1", "ab = 1", "one = 0", "one = -1"])
def test_a_split_of_nothing_is_refused(tmp_path, arms):
    file = tmp_path / "routes.toml"
    file.write_text(row("one") + SPLIT.format(name="ab", arms=arms))
    with pytest.raises(StartError):
        load_policies(file)


def test_models_that_nobody_knows_are_named(tmp_path):
    file = tmp_path / "routes.toml"
    file.write_text(row())
    policies = load_policies(file)
    known = {"a": True, "b": True, "big": True}
    assert wrong_models([policies["auto"]], known) == []
    assert wrong_models([policies["auto"]], {"a": True}) == ["policy.auto names unknown models: b, big"]
    assert wrong_models([policies["auto"]], known | {"b": False}) == [
        "policy.auto names models that answer no conversation: b"
    ]
