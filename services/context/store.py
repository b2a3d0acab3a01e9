"""The SQLite file of one context process: remembered items, cut turns, summaries, reports. Blocks; for a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from services.chassis.logs import Log
from services.chassis.sqlite_file import SqliteFile, word_of

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
    """See SqliteFile. Threads may share it. The file holds what was said."""

    def __init__(self, path: Path, log: Log | None = None) -> None:
        self._file = SqliteFile(
            path,
            schema=_SCHEMA,
            tables=_TABLES,
            busy_seconds=_BUSY_SECONDS,
            log=log,
            event="context_file_set_aside",
        )
        self._log = log
        # Of what failure the operator was told; empty: it works.
        self._told = ""
        self._using = Lock()

    def write(self, *statements: Statement) -> int:
        """Run each statement for each of its rows, all or nothing; how many rows changed. Raises StoreFailed."""
        with self._using:
            try:
                connection = self._file.opened()
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
                rows = self._file.opened().execute(query, values).fetchall()
                self._told = ""
                return rows
            except (sqlite3.Error, OSError) as failure:
                raise self._failed(failure) from failure

    def close(self) -> None:
        """Let go of the file."""
        with self._using:
            self._file.close()

    def _failed(self, failure: Exception) -> StoreFailed:
        """Close, and tell the operator once until it works again."""
        self._file.close()
        cause = word_of(failure)
        if self._log is not None and cause != self._told:
            self._log.warning("context_storage_failed", file=str(self._file.path), cause=cause)
        self._told = cause
        return StoreFailed(cause)
