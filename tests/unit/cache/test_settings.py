"""What the environment may say to the cache."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.cache.settings import load
from services.chassis.settings import StartError


def test_defaults_need_no_environment():
    loaded = load({"HOME": "/nowhere"})
    assert (loaded.port, loaded.metrics_port, loaded.most_entries) == (50052, 9462, 100_000)
    assert loaded.most_bytes == 256 * 1024 * 1024
    assert loaded.default_ttl == timedelta(hours=24)
    assert loaded.persist
    assert loaded.state.name == "omnisphere"


def test_the_environment_decides():
    said = {"OMNISPHERE_CACHE_PORT": "7", "OMNISPHERE_CACHE_PERSIST": "off", "OMNISPHERE_STATE": "/s"}
    loaded = load(said | {"OMNISPHERE_CACHE_DEFAULT_TTL": "10m"})
    assert loaded.port == 7
    assert not loaded.persist
    assert loaded.state == Path("/s")
    assert loaded.default_ttl == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("name", "value"),
    [("MOST_ENTRIES", "0"), ("MOST_BYTES", "-5"), ("DEFAULT_TTL", "8d"), ("DEFAULT_TTL", "0s"), ("PERSIST", "maybe")],
)
def test_a_value_that_makes_no_sense_is_named(name, value):
    with pytest.raises(StartError, match=f"^OMNISPHERE_CACHE_{name}: "):
        load({f"OMNISPHERE_CACHE_{name}": value})
