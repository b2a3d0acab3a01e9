"""The queue before the storage: what waits, what is dropped, and what must not be."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Mapping

from services.cache.entry import Entry, Moment
from services.cache.fingerprint import Fingerprint
from services.cache.storage import Learned, MemoryStorage, StorageFailed
from services.cache.write_behind import WriteBehind
from services.chassis.logs import Log
from tests.unit.cache.samples import START, NoChanges, StillClock, entry

NOW = Moment(START, 1_000.0)
ALL = {"most_entries": 1_000, "most_bytes": 10**9}


class FailingStorage(MemoryStorage):
    """A disk that may be full."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False
        self.batches: list[int] = []

    def load(self, now: Moment, *, most_entries: int, most_bytes: int, mark: int = 0) -> Iterator[Entry]:
        if self.is_full:
            raise StorageFailed("full")
        return super().load(now, most_entries=most_entries, most_bytes=most_bytes, mark=mark)

    def write(
        self, changes: Mapping[Fingerprint, Entry | None], *, wipe: bool = False, learned: Learned | None = None
    ) -> None:
        self.batches.append(len(changes))
        if self.is_full:
            raise StorageFailed("full")
        super().write(changes, wipe=wipe, learned=learned)


class Queue:
    """A write-behind queue with its parts in reach."""

    def __init__(self, most_waiting: int = 100) -> None:
        self.storage, self.clock, self.lines = FailingStorage(), StillClock(), io.StringIO()
        self.dropped: list[int] = []
        self.writes = WriteBehind(
            self.storage,
            log=Log("cache", stream=self.lines),
            clock=self.clock,
            on_dropped=self.dropped.append,
            most_waiting=most_waiting,
        )

    def on_disk(self) -> list[str]:
        return sorted(kept.entry_id for kept in self.storage.load(NOW, **ALL))

    def warnings(self) -> int:
        return sum(json.loads(line)["event"] == "cache_storage_failed" for line in self.lines.getvalue().splitlines())


def ids(*entries: Entry) -> list[str]:
    return sorted(kept.entry_id for kept in entries)


ONE, TWO, THREE = entry("1"), entry("2"), entry("3")


async def test_changes_reach_the_storage_by_themselves():
    queue = Queue()
    await queue.writes.start(changes := NoChanges(), **ALL)
    assert changes.kept == []
    queue.writes.put(ONE)
    queue.writes.put(TWO)
    queue.writes.remove(ONE.fingerprint)
    async with asyncio.timeout(5):
        while queue.on_disk() != ids(TWO):  # noqa: ASYNC110 - the storage tells nobody
            await asyncio.sleep(0.001)
    await queue.writes.stop()


async def test_a_stop_writes_what_waits():
    queue = Queue()
    await queue.writes.start(NoChanges(), **ALL)
    queue.writes.put(ONE)
    await queue.writes.stop()
    assert queue.on_disk() == ids(ONE)


async def test_what_was_kept_comes_back_at_the_start():
    queue = Queue()
    queue.storage.write({ONE.fingerprint: ONE})
    await queue.writes.start(changes := NoChanges(), **ALL)
    assert changes.kept == [ONE]
    await queue.writes.stop()


async def test_many_changes_travel_in_batches():
    queue = Queue(most_waiting=10_000)
    for number in range(1_001):
        queue.writes.put(entry(str(number)))
    await queue.writes.flush()
    assert queue.storage.batches == [500, 500, 1]


async def test_beyond_the_bound_entries_are_dropped_and_counted():
    queue = Queue(most_waiting=2)
    queue.storage.write({THREE.fingerprint: THREE})
    for kept in (ONE, TWO, THREE, TWO):
        queue.writes.put(kept)
    await queue.writes.flush()
    # The older answer of the dropped one is gone too.
    assert queue.on_disk() == ids(ONE, TWO)
    assert queue.dropped == [1]


async def test_removals_are_never_dropped():
    queue = Queue(most_waiting=1)
    queue.storage.write({kept.fingerprint: kept for kept in (ONE, TWO, THREE)})
    for kept in (ONE, TWO, THREE):
        queue.writes.remove(kept.fingerprint)
    await queue.writes.flush()
    assert queue.on_disk() == []
    assert queue.dropped == []


async def test_more_removals_than_can_wait_wipe_the_file():
    queue = Queue(most_waiting=0)
    queue.storage.write({kept.fingerprint: kept for kept in (ONE, TWO, THREE)})
    queue.storage.is_full = True
    for number in range(250_001):
        queue.writes.remove(Fingerprint(number.to_bytes(32)))
    await queue.writes.flush()
    queue.storage.is_full = False
    await queue.writes.flush()
    assert queue.on_disk() == []
    assert sum(queue.storage.batches) < 1_000


async def test_a_failing_disk_warns_once_a_minute_and_the_queue_goes_on():
    queue = Queue()
    queue.storage.write({kept.fingerprint: kept for kept in (ONE, TWO)})
    queue.storage.is_full = True
    await queue.writes.start(changes := NoChanges(), **ALL)
    assert changes.kept == []
    for _ in range(3):
        queue.writes.put(THREE)
        queue.writes.remove(ONE.fingerprint)
        await queue.writes.flush()
    assert queue.warnings() == 1
    queue.clock.pass_time(60)
    await queue.writes.flush()
    assert queue.warnings() == 2
    assert sum(queue.dropped) == 3
    queue.storage.is_full = False
    await queue.writes.stop()
    assert queue.on_disk() == ids(TWO)


async def test_a_caller_that_gives_up_loses_nothing():
    queue = Queue()
    for number in range(50):
        queue.writes.put(entry(str(number)))
        flush = asyncio.create_task(queue.writes.flush())
        for _ in range(number % 4):
            await asyncio.sleep(0)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
    await queue.writes.flush()
    assert len(queue.on_disk()) == 50
    assert queue.dropped == []
