"""What one ledger keeps: its columns, and how its file is laid out. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

Value = str | int | float | None
Row = tuple[Value, ...]
Kind = Literal["text", "integer", "real"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns in the order of a row's values. The first one is `at`: Unix time in milliseconds.

    `schema` goes up whenever the columns change: a file of another schema is put aside, never misread.
    """

    name: str
    schema: int
    columns: tuple[tuple[str, Kind], ...]
    indexes: tuple[str, ...] = ("at",)

    def __post_init__(self) -> None:
        if self.columns[0] != ("at", "integer"):
            raise ValueError("the first column is not `at`")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name for name, _ in self.columns)

    def definition(self) -> Sequence[str]:
        """The statements that make the table."""
        columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind in self.columns)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} ({columns})",
            *(
                f"CREATE INDEX IF NOT EXISTS {self.name}_{index.replace(', ', '_')} ON {self.name} ({index})"
                for index in self.indexes
            ),
        )

    def insertion(self, rows: int) -> str:
        """One statement for so many rows: per statement SQLite takes the interpreter's lock, which the loop needs."""
        row = f"({', '.join('?' * len(self.columns))})"
        return f"INSERT INTO {self.name} VALUES {', '.join([row] * rows)}"  # noqa: S608 - names are ours

    def lines(self, rows: Iterable[Row]) -> list[bytes]:
        """The rows as objects of JSON, a line each."""
        names = self.names
        return [orjson.dumps(dict(zip(names, row, strict=True))) for row in rows]
