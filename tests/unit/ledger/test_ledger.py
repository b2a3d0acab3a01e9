"""A ledger keeps what it is given in order, never makes anybody wait, and counts what it could not keep."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import pytest

from services.chassis.errors import Overloaded
from services.chassis.logs import Log
from services.ledger.file import LedgerFailed, LedgerFile
from services.ledger.ledger import Ledger
from services.ledger.table import Row, Table, Value
from tests.fakes.clock import FakeClock
from tests.fakes.log import ReadableLog

TABLE = Table("thing", 1, (("at", "integer"), ("name", "text")), indexes=("at", "name, at"))
NOW = 1_760_000_000


class Kept:
    """A ledger, its clock, its lines and what it lost."""

    def __init__(self, path: Path, *, most_waiting: int = 100, stream: TextIO | None = None) -> None:
        self.clock = FakeClock(wall=NOW)
        self.log = ReadableLog()
        self.lost: Counter[str] = Counter()
        self.path = path
        self.ledger = Ledger(
            TABLE,
            path,
            log=self.log if stream is None else Log("test", stream=stream),
            clock=self.clock,
            keep=timedelta(days=1),
            on_lost=lambda rows, why: self.lost.update({why: rows}),
            most_waiting=most_waiting,
        )

    async def names(self) -> list[object]:
        return [name for (name,) in await self.ledger.read("SELECT name FROM thing ORDER BY rowid")]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never held")


def names_in(path: Path) -> list[str]:
    """What the file has, seen from outside."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path, timeout=5)
    try:
        return [name for (name,) in connection.execute("SELECT name FROM thing")]
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    made = Kept(tmp_path / "ledger" / "things.sqlite3")
    yield made
    await made.ledger.stop()


async def test_rows_and_lines_come_out_as_they_went_in(kept: Kept):
    for number in range(600):  # more than one statement takes
        if number % 100 == 0:
            await kept.ledger.flush()
        kept.ledger.add((NOW * 1000 + number, f"n{number}"))
    assert await kept.names() == [f"n{number}" for number in range(600)]
    assert [line["name"] for line in kept.log.events("thing")] == [f"n{number}" for number in range(600)]


async def test_a_reader_sees_what_still_waits(kept: Kept):
    kept.ledger.add((NOW * 1000, "waits"))
    assert await kept.names() == ["waits"]


async def test_beyond_its_bound_rows_are_lost_and_counted(tmp_path: Path):
    made = Kept(tmp_path / "things.sqlite3", most_waiting=3)
    for number in range(5):
        made.ledger.add((NOW * 1000, str(number)))
    assert made.lost == {"queue_full": 2}
    assert await made.names() == ["0", "1", "2"]
    await made.ledger.stop()


async def test_rows_wait_for_a_disk_that_comes_back_and_their_lines_are_written_once(tmp_path: Path):
    folder = tmp_path / "ledger"
    folder.write_text("in the way")
    made = Kept(folder / "things.sqlite3")
    made.ledger.add((NOW * 1000, "first"))
    assert not await made.ledger.flush()
    with pytest.raises(LedgerFailed):  # a sum of some of them would be a wrong one
        await made.names()
    assert [line["cause"] for line in made.log.events("ledger_storage_failed")] != []
    folder.unlink()
    made.ledger.add((NOW * 1000, "second"))
    assert await made.names() == ["first", "second"]
    assert [line["name"] for line in made.log.events("thing")] == ["first", "second"]
    assert made.lost == {}
    await made.ledger.stop()


async def test_what_never_reached_the_disk_is_counted_at_the_end(tmp_path: Path):
    folder = tmp_path / "ledger"
    folder.write_text("in the way")
    made = Kept(folder / "things.sqlite3")
    made.ledger.add((NOW * 1000, "lost"))
    await made.ledger.stop()
    assert made.lost == {"storage": 1}


def _slow_reads(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """From now on a read takes until the event is set."""
    free = threading.Event()
    read = LedgerFile.read

    def slowly(self: LedgerFile, query: str, values: Sequence[Value]) -> list[Row]:
        free.wait(5)
        return read(self, query, values)

    monkeypatch.setattr(LedgerFile, "read", slowly)
    return free


async def test_a_reader_who_leaves_takes_no_rows_along(kept: Kept, monkeypatch: pytest.MonkeyPatch):
    kept.ledger.add((NOW * 1000, "before"))
    await kept.ledger.flush()
    free = _slow_reads(monkeypatch)
    long = asyncio.create_task(kept.names())
    await asyncio.sleep(0.01)  # the one thread reads
    kept.ledger.add((NOW * 1000, "after"))
    leaving = asyncio.create_task(kept.names())
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait([leaving])
    free.set()
    assert await long == ["before"]
    assert await kept.names() == ["before", "after"]
    assert [line["name"] for line in kept.log.events("thing")] == ["before", "after"]


async def test_more_readers_than_may_wait_cost_no_rows(kept: Kept, monkeypatch: pytest.MonkeyPatch):
    free = _slow_reads(monkeypatch)
    readers = [asyncio.create_task(kept.names()) for _ in range(400)]
    await asyncio.sleep(0.05)
    kept.ledger.add((NOW * 1000, "meanwhile"))
    readers.append(asyncio.create_task(kept.names()))
    await asyncio.sleep(0.05)
    free.set()
    came = await asyncio.gather(*readers, return_exceptions=True)
    assert {type(each) for each in came if isinstance(each, BaseException)} == {Overloaded}
    assert await kept.names() == ["meanwhile"]
    assert kept.lost == {}


@pytest.fixture
def full() -> Iterator[TextIO]:
    """Where lines go, on a disk without room."""
    stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - its close fails, too
    yield stream
    with suppress(OSError):
        stream.close()


async def test_lines_that_cannot_be_written_cost_the_file_no_rows(tmp_path: Path, full: TextIO):
    made = Kept(tmp_path / "things.sqlite3", stream=full)
    made.ledger.add((NOW * 1000, "kept"))
    assert await made.names() == ["kept"]
    await made.ledger.stop()
    assert made.lost == {}


async def test_rows_go_out_by_themselves_and_old_ones_are_dropped(kept: Kept):
    kept.ledger.add(((NOW - 2 * 86_400) * 1000, "old"))
    kept.ledger.add((NOW * 1000, "new"))
    kept.ledger.start()
    await until(lambda: kept.clock.sleeping > 0)
    kept.clock.advance(1.0)
    await until(lambda: "new" in names_in(kept.path))
    await until(lambda: names_in(kept.path) == ["new"])


async def test_a_wall_clock_that_jumps_ahead_takes_no_rows_along(kept: Kept):
    kept.ledger.add((NOW * 1000, "new"))
    kept.clock.jump(365 * 86_400.0)
    kept.ledger.start()
    await until(lambda: kept.clock.sleeping > 0)
    kept.clock.advance(1.0)
    await until(lambda: "new" in names_in(kept.path))
    kept.ledger.add((NOW * 1000, "newer"))
    await until(lambda: kept.clock.sleeping > 0)
    kept.clock.advance(2 * 3_600.0)
    await until(lambda: "newer" in names_in(kept.path))
    await until(lambda: kept.clock.sleeping == 0)
    assert names_in(kept.path) == ["new", "newer"]


async def test_a_file_of_another_schema_is_put_aside(tmp_path: Path):
    path = tmp_path / "things.sqlite3"
    other = LedgerFile(path, Table("thing", 7, (("at", "integer"),)))
    other.append([(1,)])
    other.close()
    ours = LedgerFile(path, TABLE)
    ours.append([(2, "ours")])
    assert ours.read("SELECT name FROM thing", ()) == [("ours",)]
    ours.close()
    aside = LedgerFile(tmp_path / "things.schema7.sqlite3", Table("thing", 7, (("at", "integer"),)))
    assert aside.read("SELECT at FROM thing", ()) == [(1,)]
    aside.close()


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path):
    path = tmp_path / "things.sqlite3"
    path.write_bytes(b"no database" * 1_000)
    log = ReadableLog("router")
    ours = LedgerFile(path, TABLE, log)
    ours.append([(2, "ours")])
    assert ours.read("SELECT name FROM thing", ()) == [("ours",)]
    ours.close()
    (aside,) = tmp_path.glob("things.broken-*.sqlite3")
    assert aside.read_bytes().startswith(b"no database")
    assert len(log.events("ledger_file_set_aside")) == 1
    assert path.stat().st_mode & 0o777 == 0o600  # whose requests cost what is nobody else's business


def test_a_batch_is_written_as_a_whole_or_not_at_all(tmp_path: Path):
    file = LedgerFile(tmp_path / "things.sqlite3", TABLE)
    with pytest.raises(LedgerFailed):
        file.append([(1, "good"), (2, None)])
    assert file.read("SELECT count(*) FROM thing", ()) == [(0,)]
    file.close()


def test_the_first_column_is_the_time():
    with pytest.raises(ValueError, match="`at`"):
        Table("thing", 1, (("name", "text"),))
