"""The file: private, whole after a kill, set aside when it cannot be read, and never in the way."""

from __future__ import annotations

import io
import json
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from omnisphere.cache.v1.cache_service_pb2 import CachedReply
from services.cache.entry import Entry, Moment, Vectors
from services.cache.sqlite_storage import SqliteStorage
from services.cache.storage import StorageFailed
from services.chassis.logs import Log
from tests.unit.cache.endless_writer import BATCH
from tests.unit.cache.samples import START, StillClock, entry

NOW = Moment(START, 1_000.0)


class File:
    """One file, opened as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "cache" / "cache.sqlite"
        self.lines = io.StringIO()
        self._open: list[SqliteStorage] = []

    def storage(self) -> SqliteStorage:
        made = SqliteStorage(self.path, log=Log("cache", stream=self.lines), clock=StillClock())
        self._open.append(made)
        return made

    def written(self, *entries: Entry) -> None:
        storage = self.storage()
        storage.write({kept.fingerprint: kept for kept in entries})
        storage.close()

    def loaded(self) -> list[Entry]:
        storage = self.storage()
        kept = list(storage.load(NOW, most_entries=10**6, most_bytes=10**9))
        storage.close()
        return kept

    def run(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            connection.execute(statement, values)
        connection.close()

    def broken(self) -> list[Path]:
        return list(self.path.parent.glob("cache.sqlite.broken-*"))

    def warnings(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


@pytest.fixture
def file(tmp_path: Path):
    made = File(tmp_path)
    yield made
    for storage in made._open:
        storage.close()


def test_nothing_is_touched_before_it_is_needed(file):
    file.storage().close()
    assert not file.path.parent.exists()


def test_the_file_is_its_owners_alone(file):
    storage = file.storage()
    storage.write({(kept := entry("q")).fingerprint: kept})
    modes = {path.name: path.stat().st_mode & 0o777 for path in file.path.parent.iterdir()}
    assert modes == dict.fromkeys(("cache.sqlite", "cache.sqlite-wal", "cache.sqlite-shm"), 0o600)
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_age_goes_on_over_a_restart(file):
    file.written(entry("q", stored_at=START - 50, age_zero=7.0))
    assert [kept.age(NOW) for kept in file.loaded()] == [50]
    assert [kept.age_zero for kept in file.loaded()] == [950]


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be taken for one " * 50, b"SQLite format 3\0" + b"\xff" * 5_000]
)
def test_a_file_that_is_no_database_is_set_aside_with_one_warning(file, content):
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    assert file.loaded() == []
    assert [path.read_bytes() for path in file.broken()] == [content]
    assert [line["event"] for line in file.warnings()] == ["cache_file_set_aside"]
    file.written(kept := entry("q"))
    assert file.loaded() == [kept]


def test_a_file_with_a_torn_page_is_set_aside(file):
    file.written(*(entry(f"{number}" * 500) for number in range(50)))
    content = bytearray(file.path.read_bytes())
    content[4096:-4096] = b"\xa5" * (len(content) - 8192)
    file.path.write_bytes(content)
    assert file.loaded() == []
    assert len(file.broken()) == 1


@pytest.mark.parametrize("what", ["loaded", "learned"])
def test_a_file_of_another_schema_version_is_set_aside(file, what):
    file.written(entry("q"))
    file.run("PRAGMA user_version = 4")
    assert not (file.loaded() if what == "loaded" else file.storage().learned())
    assert len(file.broken()) == 1
    assert file.warnings()[0]["cause"] == "schema version 4, not 3"


@pytest.mark.parametrize("version", [0, 3])
def test_a_file_with_other_tables_is_set_aside(file, version):
    file.path.parent.mkdir()
    file.run("CREATE TABLE entries (a)")
    file.run(f"PRAGMA user_version = {version}")
    assert file.loaded() == []
    assert len(file.broken()) == 1


def test_a_file_that_breaks_while_in_use_is_set_aside_and_writing_goes_on(file):
    file.written(*(entry(f"{number}" * 500) for number in range(50)))
    file.path.write_bytes(b"\xa5" * file.path.stat().st_size)
    storage = file.storage()
    kept = entry("q")
    with pytest.raises(StorageFailed, match="SQLITE_NOTADB"):
        storage.write({kept.fingerprint: kept})
    storage.write({kept.fingerprint: kept})
    storage.close()
    assert file.loaded() == [kept]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("format", 99),
        ("canonical", b"\0" * 40),
        ("canonical", "text"),
        ("canonical", 5),
        ("fingerprint", b"x" * 32),
        ("reply", b"\xff\xff\xff"),
        ("reply", 5),
        ("tags", "{"),
        ("tags", "5"),
        ("tenant", b"\xff\xfe"),
        ("model", b"\xc3"),
        ("stored_at", "late"),
        ("expires_at", b"x"),
    ],
)
def test_a_row_that_does_not_hold_together_is_lost_alone(file, column, value):
    spoilt, whole = entry("spoilt"), entry("whole")
    file.written(spoilt, whole)
    file.run(f"UPDATE entries SET {column} = ? WHERE entry_id = ?", value, spoilt.entry_id)  # noqa: S608
    assert file.loaded() == [whole]
    assert file.broken() == []


def test_a_vector_comes_with_its_entry_and_goes_with_it(file):
    one, two = (entry(text)._replace(vectors=Vectors("model", text.encode())) for text in "12")
    file.written(one, two)
    assert file.loaded() == [two, one]
    newer = entry("1", stored_at=START - 1, age_zero=999.0)._replace(vectors=Vectors("other", b"newer"))
    file.written(newer)
    storage = file.storage()
    assert list(storage.load(NOW, most_entries=9, most_bytes=10**9, mark=storage.mark())) == [
        newer._replace(vectors=None),
        two._replace(vectors=None),
    ]
    storage.write({two.fingerprint: None})
    storage.close()
    assert file.loaded() == [newer]
    file.run("UPDATE vectors SET number = number + 1")
    assert file.loaded() == [newer._replace(vectors=None)]
    assert sqlite3.connect(file.path).execute("SELECT count(*) FROM vectors").fetchone() == (1,)


def test_a_directory_that_cannot_be_made_is_a_failure_that_passes(file, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    storage = file.storage()
    with pytest.raises(StorageFailed):
        list(storage.load(NOW, most_entries=1, most_bytes=10**9))
    (tmp_path / "cache").unlink()
    kept = entry("q")
    storage.write({kept.fingerprint: kept})
    assert file.loaded() == [kept]


def test_a_full_disk_is_a_failure_that_passes(file):
    file.written(before := entry("before"))
    storage = file.storage()
    large = [entry(str(number) + "x" * 10_000) for number in range(100)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StorageFailed):
            storage.write({kept.fingerprint: kept for kept in large})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.loaded() == [before]
    storage.write({kept.fingerprint: kept for kept in large})
    assert len(file.loaded()) == 101


@pytest.mark.slow
def test_a_killed_writer_leaves_every_batch_that_it_finished(file):
    finished: dict[str, int] = {}
    for run in "abcde":
        command = [sys.executable, "-m", "tests.unit.cache.endless_writer", str(file.path), run]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                finished[run] = int(line)
                if finished[run] == 3 + ord(run) % 3:
                    writer.kill()
        kept = file.loaded()
        for entry_kept in kept:
            question = entry_kept.canonical.decode("utf-8", "replace")
            answer = CachedReply.FromString(entry_kept.reply).message.parts[0].text
            assert question.endswith(answer.removeprefix("re: "))
        answers = {CachedReply.FromString(entry_kept.reply).message.parts[0].text for entry_kept in kept}
        wanted = {f"re: {word} {number}" for word, count in finished.items() for number in range(count * BATCH)}
        assert wanted <= answers
        # Batches come whole.
        assert len(kept) % BATCH == 0
    assert file.broken() == []
