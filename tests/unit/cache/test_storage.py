"""What every storage promises, in memory and in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cache.entry import Entry, Moment
from services.cache.sqlite_storage import SqliteStorage
from services.cache.storage import MemoryStorage, Storage
from services.chassis.logs import Log
from tests.unit.cache.samples import START, StillClock, entry

NOW = Moment(START, 1_000.0)
ALL = {"most_entries": 100, "most_bytes": 10**9}


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    made: Storage = MemoryStorage()
    if request.param == "sqlite":
        made = SqliteStorage(tmp_path / "deep" / "cache.sqlite", log=Log("cache"), clock=StillClock())
    yield made
    made.close()


def write(storage: Storage, *entries: Entry) -> None:
    storage.write({kept.fingerprint: kept for kept in entries})


def test_a_new_storage_is_empty(storage):
    assert list(storage.load(NOW, **ALL)) == []


def test_what_was_written_is_loaded_newest_first(storage):
    one, two = entry("1", tags=("x", "é"), model="m"), entry("2", tenant="b")
    write(storage, one)
    write(storage, two)
    assert list(storage.load(NOW, **ALL)) == [two, one]


def test_a_newer_answer_takes_the_place_and_the_rank(storage):
    one, two, newer = entry("1"), entry("2"), entry("1", stored_at=START - 1, age_zero=999.0)
    write(storage, one, two)
    write(storage, newer)
    assert list(storage.load(NOW, **ALL)) == [newer, two]


def test_what_was_removed_is_gone(storage):
    one, two = entry("1"), entry("2")
    write(storage, one, two)
    storage.write({one.fingerprint: None, entry("never").fingerprint: None})
    assert list(storage.load(NOW, **ALL)) == [two]


def test_a_wipe_comes_before_the_changes(storage):
    one, two = entry("1"), entry("2")
    write(storage, one)
    storage.write({two.fingerprint: two}, wipe=True)
    assert list(storage.load(NOW, **ALL)) == [two]


def test_what_is_over_or_from_the_future_is_not_loaded(storage):
    write(storage, entry("over", ttl=10), entry("future", stored_at=START + 500), kept := entry("kept"))
    assert [e.entry_id for e in storage.load(Moment(START + 10, 1_010.0), **ALL)] == [kept.entry_id]


@pytest.mark.parametrize("bound", [{"most_entries": 2}, {"most_bytes": 2 * entry("0").size()}])
def test_the_newest_within_the_bounds_are_loaded_and_the_others_removed(storage, bound):
    entries = [entry(str(number)) for number in range(5)]
    write(storage, *entries)
    assert list(storage.load(NOW, **(ALL | bound))) == [entries[4], entries[3]]
    assert list(storage.load(NOW, **ALL)) == [entries[4], entries[3]]
