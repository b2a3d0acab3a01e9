"""Policies are read again when their file changes, and a bad file leaves the old ones."""

from __future__ import annotations

from typing import Any

import pytest

from services.router.catalog import Catalogue
from services.router.policy_keeper import PolicyKeeper
from tests.fakes.log import ReadableLog
from tests.unit.router.samples import fleet

GOOD = """
[policy.mine]
strategy = "fixed"
reference_model = "claude-opus"
models = ["{model}"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "routes.toml"
    path.write_text(GOOD.format(model="deepseek-v3"))
    return path


def keeper(file, log, failures):
    return PolicyKeeper(
        file, lambda: Catalogue(tuple(fleet()), "1"), log, failed=lambda: failures.append("no"), every=0.001
    )


def test_a_changed_file_is_taken_up(file):
    failures: list[str] = []
    kept = keeper(file, ReadableLog("router"), failures)
    file.write_text(GOOD.format(model="claude-opus") + "# longer")
    kept.look()
    assert kept.current["mine"].row.models == ("claude-opus",)
    assert failures == []


@pytest.mark.parametrize("text", ["[policy.mine]", "no toml", GOOD.format(model="gpt-99")])
def test_a_bad_file_is_refused_and_the_old_policies_stay(file, text):
    failures: list[str] = []
    log = ReadableLog("router")
    kept = keeper(file, log, failures)
    file.write_text(text)
    kept.look()
    kept.look()
    assert kept.current["mine"].row.models == ("deepseek-v3",)
    assert failures == ["no"]
    assert len(log.events("policies_refused")) == 1


async def test_a_first_file_with_unknown_models_leaves_those_that_ship(file):
    file.write_text(GOOD.format(model="gpt-99"))
    failures: list[str] = []
    kept = keeper(file, ReadableLog("router"), failures)
    kept.start()
    await kept.stop()
    assert "mine" not in kept.current
    assert "auto" in kept.current
    assert failures == ["no"]


async def test_a_file_that_was_read_before_there_was_a_catalogue_is_checked_when_there_is_one(file):
    file.write_text(GOOD.format(model="gpt-99"))
    failures: list[str] = []
    models: list[Any] = []
    kept = PolicyKeeper(
        file,
        lambda: Catalogue(tuple(models), "1"),
        ReadableLog("router"),
        failed=lambda: failures.append("no"),
        every=9,
    )
    kept.start()
    kept.look()
    assert "mine" in kept.current
    models.extend(fleet())
    kept.look()
    kept.look()
    await kept.stop()
    assert "mine" not in kept.current
    assert failures == ["no"]


def test_a_file_that_went_away_leaves_the_policies(file):
    failures: list[str] = []
    kept = keeper(file, ReadableLog("router"), failures)
    file.unlink()
    kept.look()
    assert "mine" in kept.current
