"""Clients in other languages behave against a real mesh, wherever their toolchain is."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.run import EXAMPLES, HERE, Example, mesh, prepare, show
from services.chassis.settings import environment

BUSY_SECONDS = 7
CASES = ["unary", "stream", "cancel", "deadline", "error", "busy"]


@pytest.fixture(scope="module")
async def environ() -> AsyncIterator[dict[str, str]]:
    """A mesh for all examples; what they need to know of it."""
    async with mesh() as known:
        yield known


@pytest.mark.slow
@pytest.mark.timeout(300)  # the first build fetches its packages
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
async def test_an_example_behaves_in_every_case(example: Example, environ: dict[str, str]) -> None:
    if missing := example.missing():
        pytest.skip(f"this machine has no {' and no '.join(missing)}")
    if failure := await prepare(example):
        if environment().get("CI") != "true":
            pytest.skip(f"its packages cannot be had here: {failure.splitlines()[-1]}")
        pytest.fail(failure)
    outcome = await show(example, environ)
    assert outcome.code == 0, outcome.output
    lines = outcome.output.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", case] for case in CASES]
    assert "skipped" not in outcome.output
    busy = re.search(r"PROVIDER_RATE_LIMITED: again in ([0-9.]+)s", lines[-1])
    assert busy
    assert 0 < float(busy[1]) <= BUSY_SECONDS  # the rest of it, where another example has met it before


def test_an_example_whose_toolchain_is_missing_says_what_is_missing() -> None:
    absent = Example("cobol", ("cobc-that-nobody-has", "sh"), (), ())
    assert absent.missing() == ["cobc-that-nobody-has"]


def test_lock_files_name_no_registry() -> None:
    lock = json.loads((HERE / "node/package-lock.json").read_text(encoding="utf-8"))
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages)
    for path in (HERE / "go/go.mod", HERE / "go/go.sum", HERE / "node/package-lock.json"):
        assert "proxy.golang" not in path.read_text(encoding="utf-8")
        assert "registry." not in path.read_text(encoding="utf-8")


def test_every_example_has_its_line_in_the_readme() -> None:
    text = (Path(HERE) / "README.md").read_text(encoding="utf-8")
    assert all(f"[{example.name}]({example.name}/main." in text for example in EXAMPLES)
