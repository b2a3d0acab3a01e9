"""The verifier: its arrays give what its trees say, and a file that is not ours is refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.cache.features import NAMES
from services.cache.verifier import MOST_LEAVES, SHIPPED, Verifier, VerifierUnusable, load

HASH = "0" * 64
ALL = 0xFFFFFFFF


def two_trees() -> Verifier:
    """x0 <= 0.5 ? (x1 <= 2 ? -1 : 1) : 3, and a tree that is one leaf of 0.25."""
    shape = (MOST_LEAVES - 1, 2)
    features, limits = np.zeros(shape, np.int64), np.full(shape, np.inf, np.float32)
    keeps, values = np.full(shape, ALL, np.uint32), np.zeros((2, MOST_LEAVES), np.float32)
    features[:2, 0], limits[:2, 0] = [0, 1], [0.5, 2.0]
    keeps[:2, 0] = [ALL ^ 0b011, ALL ^ 0b001]
    values[0, :3], values[1, 0] = [-1, 1, 3], 0.25
    return Verifier(features, limits, keeps, values, np.array([0.005, 0.01]), np.array([0.9, 0.8]))


def row(first: float, second: float) -> Any:
    made = np.zeros(len(NAMES), np.float32)
    made[:2] = first, second
    return made


def test_the_arrays_say_what_the_trees_say():
    found = two_trees().confidence([row(0.5, 2), row(0.5, 2.1), row(0.6, 0), row(-9, 9)])
    scores = np.array([-1, 1, 3, 1]) + 0.25
    assert found == pytest.approx(1 / (1 + np.exp(-scores)))


def test_a_budget_takes_the_threshold_of_the_next_smaller_one():
    verifier = two_trees()
    assert [verifier.threshold(budget) for budget in (0.005, 0.007, 0.01, 1.0)] == [0.9, 0.9, 0.8, 0.8]
    assert verifier.threshold(0.004) > 1


def test_a_file_comes_back_as_it_was_and_has_the_same_bytes_again(tmp_path: Path):
    verifier = two_trees()
    for name in ("one.npz", "two.npz"):
        verifier.save(tmp_path / name, model_hash=HASH)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = load(tmp_path / "one.npz", model_hash=HASH)
    assert np.array_equal(again.keeps, verifier.keeps)
    assert again.confidence([row(0.6, 0)]) == pytest.approx(verifier.confidence([row(0.6, 0)]))


def test_what_ships_is_small_and_stricter_for_a_smaller_budget():
    assert SHIPPED.stat().st_size < 2_000_000
    with np.load(SHIPPED, allow_pickle=False) as arrays:
        model_hash = str(arrays["model_hash"])
    shipped = load(model_hash=model_hash)
    assert 0.5 < shipped.threshold(0.01) <= shipped.threshold(0.005) < 1


def test_a_file_for_another_embedder_is_refused(tmp_path: Path):
    two_trees().save(tmp_path / "v.npz", model_hash=HASH)
    with pytest.raises(VerifierUnusable, match="another embedder"):
        load(tmp_path / "v.npz", model_hash="1" * 64)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": np.array(99)}, "format 99, not 1"),
        ({"names": np.array(["other"])}, "other features"),
        ({"values": np.zeros((2, 3), np.float32)}, "do not fit"),
        ({"limits": np.zeros(3, np.float32)}, "cannot be read"),
        ({"features": np.full((MOST_LEAVES - 1, 2), 99, np.int16)}, "do not fit"),
        ({"values": np.full((2, MOST_LEAVES), np.nan, np.float32)}, "do not fit"),
        ({"thresholds": np.array([0.8, 0.9])}, "do not fit"),
        ({"format": None}, "cannot be read"),
    ],
)
def test_a_file_of_another_version_or_spoilt_is_refused_with_the_reason(tmp_path: Path, change: Any, said: str):
    two_trees().save(tmp_path / "v.npz", model_hash=HASH)
    with np.load(tmp_path / "v.npz") as arrays:
        changed = {**arrays, **change}
    np.savez(tmp_path / "v.npz", **{name: value for name, value in changed.items() if value is not None})
    with pytest.raises(VerifierUnusable, match=said):
        load(tmp_path / "v.npz", model_hash=HASH)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", None])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "v.npz").write_bytes(content)
    with pytest.raises(VerifierUnusable, match="cannot be read"):
        load(tmp_path / "v.npz", model_hash=HASH)


def test_replacing_thresholds_leaves_the_trees():
    verifier = replace(two_trees(), thresholds=np.array([1.0, 0.5]))
    assert verifier.threshold(0.01) == 0.5
