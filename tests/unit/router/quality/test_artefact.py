"""The file between training and the router: it comes back whole, and anything else is refused with the reason."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from services.router.quality.artefact import SHIPPED, ArtefactUnusable, load, parse
from services.router.quality.features import read


@pytest.fixture(scope="module")
def shipped() -> bytes:
    return SHIPPED.read_bytes()


def changed(data: bytes, **of) -> bytes:
    with np.load(io.BytesIO(data)) as file:
        arrays = dict(file.items())
    header = json.loads(arrays["header"].tobytes())
    arrays |= {name: value for name, value in of.items() if name in arrays}
    header |= {name: value for name, value in of.items() if name not in arrays}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def test_the_shipped_one_is_small_and_knows_the_tiers():
    artefact = load()
    assert SHIPPED.stat().st_size < 2_000_000
    assert artefact.estimator.columns == ("small", "medium", "large", "frontier")
    assert set(artefact.provenance["files"]) == {
        "routellm.parquet",
        "mmlupro.parquet",
        "zeroeval.parquet",
        "llmrouter.parquet",
    }
    assert all(
        "Apache-2.0" in file["source"] or "MIT" in file["source"] for file in artefact.provenance["files"].values()
    )


def test_it_comes_back_byte_by_byte(shipped):
    again = parse(shipped)
    assert again.dump() == parse(again.dump()).dump()
    reading = read("How many apples are left?", 6)
    for one, other in zip(again.estimator.estimate(reading), load().estimator.estimate(reading), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"features": 99}, "features of version 99, not 1; train it again"),
        ({"format": 0}, "format 0, not 1"),
        ({"digest": "0"}, "damaged"),
        ({"table": np.zeros((1, 1))}, "damaged"),
    ],
)
def test_another_version_and_damage_are_refused(shipped, change, told):
    with pytest.raises(ArtefactUnusable, match=told):
        parse(changed(shipped, **change), "mine.npz")


@pytest.mark.parametrize("size", [0, 10, 1_000, 100_000])
def test_half_a_file_is_refused(shipped, size):
    with pytest.raises(ArtefactUnusable, match=r"mine\.npz: cannot be read"):
        parse(shipped[:size], "mine.npz")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ArtefactUnusable, match="cannot be read"):
        load(tmp_path / "none.npz")


def test_a_worse_one_says_so():
    current = load()
    worse = replace(current, evaluation=replace(current.evaluation, explained=current.evaluation.explained - 0.1))
    assert "explains" in (worse.worse_than(current) or "")
    assert current.worse_than(worse) is None
