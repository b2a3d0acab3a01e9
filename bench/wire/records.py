"""Recordings as a bench may know them: what was asked and of whom, nothing of what was expected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One exchange. `body` None: its request is not known."""

    id: str
    api: str
    stream: bool
    body: dict[str, Any] | None

    @property
    def model(self) -> str:
        """The model as the request named it."""
        return str((self.body or {}).get("model") or "model")


def read(data: Path) -> Iterator[Record]:
    """Every exchange of every file, without its labels."""
    for path in sorted(data.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                request = row.get("request") or {}
                body = request.get("body")
                yield Record(row["id"], row["api"], bool(row["stream"]), body if isinstance(body, dict) else None)
