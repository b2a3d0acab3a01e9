"""A fleet file is read exactly, and a bad one is named with its key and problem."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.simulator.fleet import BUNDLED_FLEET, FleetError, load_fleet
from services.simulator.tasks import TASKS, TIERS


def test_the_bundled_fleet_has_every_tier_and_exact_prices(fleet):
    assert len(fleet) == 19
    assert {model.tier for model in fleet.values()} == set(TIERS)
    assert fleet["deepseek-v3.2"].price.input == Decimal("0.2288")
    assert fleet["deepseek-v3.2"].price.cache_read is None
    assert fleet["sim-tiny-8k"].window == 8192
    assert all(set(model.skill) == set(TASKS) for model in fleet.values() if not model.dimensions)
    makers = {model.id: model.dimensions for model in fleet.values() if model.dimensions}
    assert makers == {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "gemini-embedding-001": 3072}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('tier = "frontier"', 'tier = "huge"', r"claude-opus-5-5: tier: 'huge' is none of"),
        ("research = 0.95", "", r"claude-opus-5-5: skill\.research: missing"),
        ("research = 0.95", "research = 1.5", r"skill\.research: 1\.5 is not within 0\.\.1"),
        ("research = 0.95", "research = nan", r"skill\.research: nan must be a number"),
        ("research = 0.95", "research = true", r"skill\.research: True is not a number"),
        ('input = "4"', "input = 4.0", r"price\.input: decimal text is needed"),
        ('input = "4"', 'input = "-4"', r"price\.input: '-4' is not a price"),
        ('input = "4"', 'input = "four"', r"price\.input: 'four' is not a decimal"),
        ("window = 400000", "widow = 400000", r"widow: unknown key"),
        ("window = 400000", "window = 0.5", r"window: 0\.5 must be a number from 1"),
        ("window = 400000", "window = 1.5", r"window: 1\.5 is not a whole number"),
        ("dimensions = 1536", "dimensions = 0", r"text-embedding-3-small: dimensions: 0 must be a number from 1"),
        ("dimensions = 1536", "dimensions = 1.5", r"dimensions: 1\.5 is not a whole number"),
        ("window = 400000", "window = 400000\ndimensions = 8", r"opus-5-5: skill: a model with dimensions answers no"),
        ('id = "claude-sonnet-5-5"', 'id = "claude-opus-5-5"', r"the id is listed twice"),
        ("[[model]]", "[[model", r"not valid TOML"),
    ],
)
def test_a_bad_fleet_gives_one_line_with_file_key_and_problem(tmp_path, old, new, problem):
    path = tmp_path / "fleet.toml"
    path.write_text(BUNDLED_FLEET.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FleetError, match=problem) as caught:
        load_fleet(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_empty_or_missing_fleet_is_an_error(tmp_path):
    with pytest.raises(FleetError, match="cannot be read"):
        load_fleet(tmp_path / "none.toml")
    (tmp_path / "empty.toml").write_text("", encoding="utf-8")
    with pytest.raises(FleetError, match=r"at least one \[\[model\]\]"):
        load_fleet(tmp_path / "empty.toml")
