"""The SQLite file of one context process: remembered items, cut turns, summaries, reports. Blocks; for a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from services.chassis.logs import Log

_SCHEMA = 1
_BUSY_SECONDS = 2.0
_TABLES = (
    """CREATE TABLE IF NOT EXISTS items (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, conversation TEXT NOT NULL,
        text TEXT NOT NULL, tags TEXT NOT NULL, at REAL NOT NULL, expires REAL)""",
    "CREATE INDEX IF NOT EXISTS items_of ON items (tenant, conversation)",
    """CREATE TABLE IF NOT EXISTS cut (
        tenant TEXT NOT NULL, handle TEXT NOT NULL, at REAL NOT NULL, messages BLOB NOT NULL,
        PRIMARY KEY (tenant, handle)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS cut_at ON cut (at)",
    """CREATE TABLE IF NOT EXISTS summaries (
        tenant TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (tenant, key)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS reports (
        number INTEGER PRIMARY KEY, model TEXT NOT NULL, family TEXT NOT NULL, report TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS reports_of_model ON reports (model)",
    "CREATE INDEX IF NOT EXISTS reports_of_family ON reports (family)",
)
Value = str | int | float | bytes | None
Statement = tuple[str, Sequence[Sequence[Value]]]


class StoreFailed(Exception):
    """The file cannot be read or written; the text is SQLite's or the system's own word, and holds no data."""


class Store:
    """Opens the file with its first use, and again after a failure. Threads may share it.

    The file holds what was said: nobody but its owner may read it. A file of another release, or that is no database,
    is set aside.
    """

    def __init__(self, path: Path, log: Log | None = None) -> None:
        self._path = path
        self._log = log
        # Of what failure the operator was told; empty: it works.
        self._told = ""
        self._using = Lock()
        self._connection: sqlite3.Connection | None = None

    def write(self, *statements: Statement) -> int:
        """Run each statement for each of its rows, all or nothing; how many rows changed. Raises StoreFailed."""
        with self._using:
            try:
                connection = self._opened()
                before = connection.total_changes
                with connection:
                    for statement, rows in statements:
                        connection.executemany(statement, rows)
                self._told = ""
                return connection.total_changes - before
            except (sqlite3.Error, OSError) as failure:
                raise self._failed(failure) from failure

    def read(self, query: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """The rows of a query. Raises StoreFailed."""
        with self._using:
            try:
                rows = self._opened().execute(query, values).fetchall()
                self._told = ""
                return rows
            except (sqlite3.Error, OSError) as failure:
                raise self._failed(failure) from failure

    def close(self) -> None:
        """Let go of the file."""
        with self._using:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._connection = self._begun()
            except sqlite3.DatabaseError as failure:
                if _word(failure) != "SQLITE_NOTADB":
                    raise
                self._put_aside(f"broken-{int(self._path.stat().st_mtime)}")
                self._connection = self._begun()
        return self._connection

    def _begun(self) -> sqlite3.Connection:
        """The file with its tables; one of another release, or that is none, was put aside."""
        connection = self._connected()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA):
            connection.close()
            self._put_aside(f"schema{version}")
            connection = self._connected()
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        return connection

    def _connected(self) -> sqlite3.Connection:
        # SQLite gives its side files the mode of this one.
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may cost the last moments.
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _put_aside(self, why: str) -> None:
        aside = self._path.with_suffix(f".{why}{self._path.suffix}")
        self._path.replace(aside)
        for extra in ("-wal", "-shm"):
            self._path.with_name(self._path.name + extra).unlink(missing_ok=True)
        if self._log is not None:
            self._log.warning("context_file_set_aside", file=str(self._path), moved_to=str(aside))

    def _failed(self, failure: Exception) -> StoreFailed:
        """Close, and tell the operator once until it works again."""
        self._close()
        cause = _word(failure)
        if self._log is not None and cause != self._told:
            self._log.warning("context_storage_failed", file=str(self._path), cause=cause)
        self._told = cause
        return StoreFailed(cause)


def _word(failure: Exception) -> str:
    if isinstance(failure, sqlite3.Error):
        return getattr(failure, "sqlite_errorname", None) or type(failure).__name__
    return getattr(failure, "strerror", None) or type(failure).__name__
