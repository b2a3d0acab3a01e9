"""Killed while it writes, again and again: what it had said to be written loads, and nothing torn or foreign with it.

`make chaos` does it a hundred times.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.cache.entry import Moment
from services.cache.sqlite_storage import SqliteStorage
from services.chassis.logs import Log
from tests.unit.cache.samples import START, StillClock, entry

KILLS = int(os.environ.get("CACHE_KILLS", "5"))  # noqa: TID251
pytestmark = pytest.mark.timeout(20 + 3 * KILLS)
# Writes entries in batches of 20 and says after each batch how many there are.
PROGRAM = """
import itertools, sys
from pathlib import Path
from services.cache.sqlite_storage import SqliteStorage
from services.chassis.logs import Log
from tests.unit.cache.samples import StillClock, entry
storage = SqliteStorage(Path(sys.argv[1]), log=Log("cache", stream=sys.stderr), clock=StillClock())
for start in itertools.count(int(sys.argv[2]), 20):
    batch = [entry(f"question {number}") for number in range(start, start + 20)]
    storage.write({one.fingerprint: one for one in batch}, learned={("wrong", str(start).encode()): b""})
    print(start + 20, flush=True)
"""


async def test_a_killed_process_leaves_the_last_complete_state(tmp_path: Path):
    path, written = tmp_path / "cache.sqlite", 0
    for number in range(KILLS):
        command = [sys.executable, "-c", PROGRAM, str(path), str(written)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        for _ in range(3 + number % 5):
            written = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        said = (await process.stdout.read()).split()
        await process.wait()
        written = int(said[-1]) if said and said[-1].isdigit() else written
        storage = SqliteStorage(path, log=Log("cache"), clock=StillClock())
        kept = list(storage.load(Moment(START, 1_000.0), most_entries=10**6, most_bytes=10**12))
        storage.close()
        # What was said to be written is there; a batch that nobody heard of is there whole or not at all.
        assert len(kept) % 20 == 0
        assert written <= len(kept) <= written + 20
        assert {one.entry_id for one in kept} == {entry(f"question {n}").entry_id for n in range(len(kept))}
        written = len(kept)
        assert not [name for name in os.listdir(tmp_path) if ".broken-" in name]  # noqa: PTH208
