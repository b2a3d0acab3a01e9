"""A book that tests can read."""

from __future__ import annotations

from services.ledger.table import Row, Table, Value
from services.router.ledger import REQUESTS


class ListedBook:
    """Keeps its rows in a list."""

    def __init__(self, table: Table = REQUESTS) -> None:
        self._table = table
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)

    @property
    def rows(self) -> list[dict[str, Value]]:
        """The rows by column."""
        return [dict(zip(self._table.names, row, strict=True)) for row in self._rows]
