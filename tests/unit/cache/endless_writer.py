"""Writes entries into a file without end and says so after each batch; to be killed by a test."""

from __future__ import annotations

import sys
from pathlib import Path

from services.cache.sqlite_storage import SqliteStorage
from services.chassis.clock import SystemClock
from services.chassis.logs import Log
from tests.unit.cache.samples import entry

BATCH = 50


def main() -> None:
    """Arguments: the file, and a word that tells this run's entries from others'."""
    path, run = Path(sys.argv[1]), sys.argv[2]
    storage = SqliteStorage(path, log=Log("cache", stream=sys.stderr), clock=SystemClock())
    batch = 0
    while True:
        entries = [entry(f"{run} {number}") for number in range(batch * BATCH, (batch + 1) * BATCH)]
        storage.write({kept.fingerprint: kept for kept in entries})
        batch += 1
        sys.stdout.write(f"{batch}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
