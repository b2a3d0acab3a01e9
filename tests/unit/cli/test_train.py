"""`omnisphere train`: what it writes, what it refuses to replace, and what it says."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightgbm")
pytest.importorskip("sklearn")

from services.chassis.settings import StartError
from services.cli.train import told, train_files
from services.router.quality.artefact import load


@pytest.fixture
def outcomes(tmp_path):
    chance = np.random.default_rng(1)
    rows = []
    for number in range(120):
        easy = bool(number % 2)
        rows.append(
            {
                "id": str(number),
                "prompt": f"{'Add' if easy else 'Prove'} statement {chance.integers(100, 999)}",
                "task": "easy" if easy else "hard",
                "models": {
                    "cheap": {"quality": float(chance.random() < (0.9 if easy else 0.2)), "cost_usd": 0.001},
                    "dear": {"quality": float(chance.random() < 0.9), "cost_usd": 0.01},
                },
            }
        )
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_outcomes_become_an_artefact_that_a_worse_one_does_not_replace(tmp_path, outcomes):
    out = tmp_path / "mine.npz"
    artefact, size = train_files([outcomes], out, tiers=False, terms=None, force=False)
    assert load(out).estimator.columns == ("cheap", "dear")
    assert list(load(out).provenance["files"]) == ["mine.jsonl"]
    assert out.stat().st_size == size
    assert any("120 rows, 2 tasks, 2 columns" in line for line in told(artefact, size, out))
    better = replace(artefact, evaluation=replace(artefact.evaluation, explained=0.99))
    out.write_bytes(better.dump())
    with pytest.raises(StartError, match="stays as it is: the new one is worse"):
        train_files([outcomes], out, tiers=False, terms=None, force=False)
    assert load(out).evaluation.explained == 0.99
    train_files([outcomes], out, tiers=False, terms=None, force=True)
    assert load(out).evaluation.explained < 0.99


def test_what_cannot_be_written_is_said_and_leaves_what_is_there(tmp_path, outcomes, monkeypatch):
    with pytest.raises(StartError, match="cannot be written"):
        train_files([outcomes], tmp_path / "nowhere" / "mine.npz", tiers=False, terms=None, force=False)
    out = tmp_path / "mine.npz"
    out.write_bytes(b"an older one")

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StartError, match="No space left on device"):
        train_files([outcomes], out, tiers=False, terms=None, force=True)
    assert out.read_bytes() == b"an older one"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_what_cannot_be_learned_from_is_said(tmp_path):
    with pytest.raises(StartError, match=r"none\.jsonl: no such file"):
        train_files([tmp_path / "none.jsonl"], tmp_path / "out.npz", tiers=False, terms=None, force=False)
    assert not (tmp_path / "out.npz").exists()
