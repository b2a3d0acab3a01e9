"""The SQLite file of one ledger: appended to in batches, read by queries, old rows dropped. Blocks; for a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.chassis.logs import Log
from services.ledger.table import Row, Table, Value

_BUSY_SECONDS = 5.0


# Rows per statement: 32,766 parameters are SQLite's limit.
_SIZES = (256, 16, 1)


class LedgerFailed(Exception):
    """The file cannot be read or written; the text is SQLite's or the system's own word, and holds no data."""


class LedgerFile:
    """Opens the file with its first use, and again after a failure. What is no database is set aside."""

    def __init__(self, path: Path, table: Table, log: Log | None = None) -> None:
        self._path = path
        self._log = log
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
            try:
                self._connection = self._begun()
            except sqlite3.DatabaseError as failure:
                if _word(failure) != "SQLITE_NOTADB":
                    raise
                # It cannot be read again; what comes now can be.
                self._put_aside(f"broken-{int(self._path.stat().st_mtime)}")
                self._connection = self._begun()
        return self._connection

    def _begun(self) -> sqlite3.Connection:
        """The file with its table; that of another release keeps its books beside ours."""
        connection = self._connected()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, self._table.schema):
            connection.close()
            self._put_aside(f"schema{version}")
            connection = self._connected()
        for statement in self._table.definition():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {self._table.schema}")
        return connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last moments; the JSON lines have them.
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
            self._log.warning("ledger_file_set_aside", file=str(self._path), moved_to=str(aside))


def _word(failure: Exception) -> str:
    if isinstance(failure, sqlite3.Error):
        return str(getattr(failure, "sqlite_errorname", "") or type(failure).__name__)
    return getattr(failure, "strerror", None) or type(failure).__name__
