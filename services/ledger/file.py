"""The SQLite file of one ledger: appended to in batches, read by queries, old rows dropped. Blocks; for a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from services.chassis.logs import Log
from services.chassis.sqlite_file import SqliteFile, word_of
from services.ledger.table import Row, Table, Value

_BUSY_SECONDS = 5.0
# Rows per statement: 32,766 parameters are SQLite's limit.
_SIZES = (256, 16, 1)


class LedgerFailed(Exception):
    """The file cannot be read or written; the text is SQLite's or the system's own word, and holds no data."""


class LedgerFile:
    """See SqliteFile. After a crash of the machine the JSON lines have what the file has not."""

    def __init__(self, path: Path, table: Table, log: Log | None = None) -> None:
        self._table = table
        self._file = SqliteFile(
            path,
            schema=table.schema,
            tables=table.definition(),
            busy_seconds=_BUSY_SECONDS,
            log=log,
            event="ledger_file_set_aside",
        )

    def append(self, rows: Sequence[Row]) -> None:
        """Write all rows, or none of them. Raises LedgerFailed."""
        try:
            connection = self._file.opened()
            with connection:
                at = 0
                for size in _SIZES:
                    while len(rows) - at >= size:
                        values = [value for row in rows[at : at + size] for value in row]
                        connection.execute(self._table.insertion(size), values)
                        at += size
        except (sqlite3.Error, OSError) as failure:
            self.close()
            raise LedgerFailed(word_of(failure)) from failure

    def drop_before(self, at: int) -> int:
        """Forget rows older than `at`; how many they were. Raises LedgerFailed."""
        try:
            connection = self._file.opened()
            with connection:
                return connection.execute(f"DELETE FROM {self._table.name} WHERE at < ?", (at,)).rowcount  # noqa: S608
        except (sqlite3.Error, OSError) as failure:
            self.close()
            raise LedgerFailed(word_of(failure)) from failure

    def read(self, query: str, values: Sequence[Value]) -> list[Row]:
        """The rows of a query. Raises LedgerFailed."""
        try:
            return list(self._file.opened().execute(query, values))
        except (sqlite3.Error, OSError) as failure:
            self.close()
            raise LedgerFailed(word_of(failure)) from failure

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
