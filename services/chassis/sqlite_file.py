"""A SQLite file of one process: opened with its first use, and again after a failure. Blocks; for a thread.

A file of another release keeps its rows beside ours, as *.schema<N>.*; one that is no database is set aside as
*.broken-<time>.*, and a new one begun: it cannot be read again, and what comes now can be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.chassis.logs import Log


class SqliteFile:
    """Nobody but its owner may read it. `tables` are statements that make what is not there; `schema` their version.

    `busy_seconds`: how long another process may hold the lock. `log` hears of what is set aside, under `event`.
    """

    def __init__(
        self, path: Path, *, schema: int, tables: Sequence[str], busy_seconds: float, log: Log | None, event: str
    ) -> None:
        self.path = path
        self._schema = schema
        self._tables = tuple(tables)
        self._busy_seconds = busy_seconds
        self._log = log
        self._event = event
        self._connection: sqlite3.Connection | None = None

    def opened(self) -> sqlite3.Connection:
        """The connection. Raises sqlite3.Error and OSError; after any failure close() makes the next use begin anew."""
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._connection = self._begun()
            except sqlite3.DatabaseError as failure:
                if word_of(failure) != "SQLITE_NOTADB":
                    raise
                self._put_aside(f"broken-{int(self.path.stat().st_mtime)}")
                self._connection = self._begun()
        return self._connection

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _begun(self) -> sqlite3.Connection:
        connection = self._connected()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, self._schema):
            connection.close()
            self._put_aside(f"schema{version}")
            connection = self._connected()
        for statement in self._tables:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {self._schema}")
        return connection

    def _connected(self) -> sqlite3.Connection:
        # SQLite gives its side files the mode of this one.
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, timeout=self._busy_seconds, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may cost the last moments.
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _put_aside(self, why: str) -> None:
        aside = self.path.with_suffix(f".{why}{self.path.suffix}")
        self.path.replace(aside)
        for extra in ("-wal", "-shm"):
            self.path.with_name(self.path.name + extra).unlink(missing_ok=True)
        if self._log is not None:
            self._log.warning(self._event, file=str(self.path), moved_to=str(aside))


def word_of(failure: Exception) -> str:
    """SQLite's or the system's own word for a failure; it holds no data."""
    if isinstance(failure, sqlite3.Error):
        return str(getattr(failure, "sqlite_errorname", "") or type(failure).__name__)
    return getattr(failure, "strerror", None) or type(failure).__name__
