"""The process: what --check says about an environment, what a bad one costs, and how a signal ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


def command(*arguments: str, service: str = "cache") -> list[str]:
    return [sys.executable, "-m", f"services.{service}", *arguments]


def environment(state: Path, **variables: str) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(state),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'python'}",
        "OMNISPHERE_STATE": str(state),
        "OMNISPHERE_CACHE_PORT": "0",
        "OMNISPHERE_CACHE_METRICS_PORT": "-1",
        **variables,
    }


def run(state: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    started = time.monotonic()
    done = subprocess.run(
        command(*arguments),
        env=environment(state, **variables),
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert time.monotonic() - started < 5
    return done


def test_a_good_environment_is_said_to_be_valid(tmp_path):
    done = run(tmp_path, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "cache: settings are valid\n", "")
    assert list(tmp_path.iterdir()) == []


def test_every_wrong_variable_is_named_in_a_line_of_its_own(tmp_path):
    done = run(tmp_path, "--check", OMNISPHERE_CACHE_PORT="sk-secret", OMNISPHERE_CACHE_DRAIN="soon")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "cache: OMNISPHERE_CACHE_PORT: is not a whole number"
    assert lines[1].startswith("cache: OMNISPHERE_CACHE_DRAIN: is not a duration")
    assert len(lines) == 2
    assert "sk-secret" not in done.stderr


def test_a_number_that_is_no_port_ends_the_start_with_one_line(tmp_path):
    done = run(tmp_path, OMNISPHERE_CACHE_METRICS_PORT="70000")
    assert done.returncode == 2
    assert done.stderr == "cache: OMNISPHERE_CACHE_METRICS_PORT: must be between -1 and 65535\n"


def test_an_unknown_argument_is_answered_with_the_usage(tmp_path):
    done = run(tmp_path, "--verbose")
    assert (done.returncode, done.stderr) == (2, "usage: omnisphere-cache [--check]\n")


def test_a_signal_drains_and_ends_with_zero(tmp_path):
    variables = environment(tmp_path, OMNISPHERE_CACHE_DRAIN="0s")
    with subprocess.Popen(
        command(), env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        events = []
        for line in process.stdout:
            events.append(json.loads(line)["event"])
            if events[-1] == "ready":
                process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert [event for event in events if event in ("ready", "draining", "stopped")] == [
            "ready",
            "draining",
            "stopped",
        ]
        assert process.stderr.read() == ""


def test_a_second_signal_ends_it_at_once(tmp_path):
    variables = environment(tmp_path, OMNISPHERE_CACHE_DRAIN="1m")
    with subprocess.Popen(
        command(), env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] in ("ready", "draining"):
                process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 130
