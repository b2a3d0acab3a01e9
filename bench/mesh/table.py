"""The figures for a person: a row per path, calls at once and target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.score_mesh import Row, medians


def show(console: Console, rows: Sequence[Row], told: Mapping[str, Any]) -> None:
    """Print medians of the windows, then the starts, then the ratios."""
    middle = medians(rows)
    if middle:
        columns = ("path", "at once", "target", "requests/s", "p50 us", "p99 us", "CPU us/request")
        table = Table(*columns, box=None)
        before = ("", 0)
        for (path, at_once, target), row in middle.items():
            if (path, at_once) != before:
                table.add_section()
            first = (path, str(at_once)) if (path, at_once) != before else ("", "")
            before = (path, at_once)
            table.add_row(*first, target, *(f"{row[field]:,.0f}" for field in ("rps", "p50", "p99", "cpu_us")))
        console.print(table)
    starts = [row for row in rows if row["path"] == "start"]
    if starts:
        table = Table("service", "start to first answer, s", "resident, MB", "after 1,000 requests, MB", box=None)
        for start in starts:
            table.add_row(start["target"], str(start["start_s"]), str(start["rss_mb"]), str(start["rss_loaded_mb"]))
        console.print(table)
    _ratios(console, told)


def _ratios(console: Console, told: Mapping[str, Any]) -> None:
    table = Table("of", "figure", "value", box=None)
    for group in ("one_process", "mesh", "providers", "echo", "http"):
        for name, value in told[group].items():
            if value is not None:
                table.add_row(group, name, f"{value:,}")
    for peer, ratios in told["peers"].items():
        for name, value in ratios.items():
            table.add_row(f"beside {peer}", name, "not measured" if value is None else f"{value:,}")
    if table.row_count:
        console.print(table)
