"""The locks install with pip by hash alone: what is asked for with an extra is pinned with it.

pip takes `name==1` for no pin of `name[extra]`, and falls over the next release of that package.
"""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.manifests import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pinned(text: str) -> dict[str, set[str]]:
    """name -> extras"""
    heads = [line.split(" ")[0].split(";")[0] for line in text.splitlines() if "==" in line and line[0].isalpha()]
    return {canonicalize_name(each.name): set(each.extras) for each in map(Requirement, heads)}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_what_is_asked_for_with_an_extra_is_pinned_with_it(lock):
    pins = pinned(lock.read_text())
    assert pins
    for name, extras in pins.items():
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform
        for requirement in map(Requirement, asked):
            wanted = canonicalize_name(requirement.name)
            needed = any(
                requirement.marker is None or requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            )
            if requirement.extras and needed and wanted in pins:
                assert requirement.extras <= pins[wanted], f"{name} wants {requirement}"
