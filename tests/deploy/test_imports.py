"""Each service gets by with its own extra: what it imports is in its extra's lock file, and nothing else is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ["router", "cache", "context", "providers", "simulator"]
# Imports the service's entry point where the modules in `absent` cannot be found.
PROGRAM = """
import importlib, json, sys

absent = set(json.loads(sys.argv[2]))

class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path if hasattr(finder, "find_spec")]
importlib.import_module(f"services.{sys.argv[1]}.__main__")
"""


def _absent(name: str) -> list[str]:
    """Modules that are installed here, but not where only the service's extra is."""
    locked = _locked(name) | {"omnisphere"}
    return sorted(
        module
        for module, owners in packages_distributions().items()
        if not any(_normal(owner) in locked for owner in owners)
    )


def _locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {_normal(line.split("==")[0]) for line in text.splitlines() if "==" in line and not line.startswith(" ")}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_with_nothing_but_its_own_extra(name: str):
    absent = _absent(name)
    assert {"pytest", "mypy"} <= set(absent)
    assert name == "context" or "tiktoken" in absent
    assert name == "providers" or "httpx" in absent
    command = [sys.executable, "-c", PROGRAM, name, json.dumps(absent)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", [*SERVICES, "cli", "dev", "build"])
def test_a_lock_file_pins_with_hashes_and_names_no_address(name: str):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
    assert pins
    assert all(line.rstrip().endswith("\\") for line in pins)
    assert "://" not in text
    assert "--index-url" not in text


def test_no_file_of_services_is_longer_than_a_reader_can_hold():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "services").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
