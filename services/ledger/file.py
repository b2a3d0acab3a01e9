"""The SQLite file of one ledger: appended to in batches, read by queries, old rows dropped. Blocks; for a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.ledger.table import Row, Table, Value

_BUSY_SECONDS = 5.0


# Rows per statement: 32,766 parameters are SQLite's limit.
_SIZES = (256, 16, 1)


class LedgerFailed(Exception):
    """The file cannot be read or written; the text is SQLite's or the system's own word, and holds no data."""


class LedgerFile:
    """Opens the file with its first use, and again after a failure."""

    def __init__(self, path: Path, table: Table) -> None:
        self._path = path
        self._table = table
        self._connection: sqlite3.Connection | None = None

    def append(self, rows: Sequence[Row]) -> None:
        """Write all rows, or none of them. Raises LedgerFailed."""
        try:
            connection = self._opened()
            with connection:
                at = 0
                for size in _SIZES:
                    while len(rows) - at >= size:
                        values = [value for row in rows[at : at + size] for value in row]
                        connection.execute(self._table.insertion(size), values)
                        at += size
        except (sqlite3.Error, OSError) as failure:
            self.close()
            raise LedgerFailed(_word(failure)) from failure

    def drop_before(self, at: int) -> int:
        """Forget rows older than `at`; how many they were. Raises LedgerFailed."""
        try:
            connection = self._opened()
            with connection:
                return connection.execute(f"DELETE FROM {self._table.name} WHERE at < ?", (at,)).rowcount  # noqa: S608
        except (sqlite3.Error, OSError) as failure:
            self.close()
            raise LedgerFailed(_word(failure)) from failure

    def read(self, query: str, values: Sequence[Value]) -> list[Row]:
        """The rows of a query. Raises LedgerFailed."""
        try:
            return list(self._opened().execute(query, values))
        except (sqlite3.Error, OSError) as failure:
            self.close()
            raise LedgerFailed(_word(failure)) from failure

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connected()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, self._table.schema):
                self._put_aside(version)
            for statement in self._table.definition():
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {self._table.schema}")
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last moments; the JSON lines have them.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _put_aside(self, version: int) -> None:
        """Another release's file keeps its books beside ours."""
        self.close()
        self._path.replace(self._path.with_suffix(f".schema{version}{self._path.suffix}"))
        for extra in ("-wal", "-shm"):
            self._path.with_name(self._path.name + extra).unlink(missing_ok=True)
        self._connection = self._connected()


def _word(failure: Exception) -> str:
    if isinstance(failure, sqlite3.Error):
        return str(getattr(failure, "sqlite_errorname", "") or type(failure).__name__)
    return getattr(failure, "strerror", None) or type(failure).__name__
