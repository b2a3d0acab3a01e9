"""docs/models.md: every model of the catalogue with its aliases, window and list price on the day of the page."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from pathlib import Path

from services.providers.endpoints import ModelRow, shipped
from services.providers.prices import look_up

PATH = Path(__file__).parents[1] / "docs" / "models.md"
_DAY = re.compile(r"List prices of (\d{4}-\d{2}-\d{2})")
_COLUMNS = (
    "model",
    "aliases",
    "vendor",
    "tier",
    "window",
    "input",
    "cache read",
    "cache write",
    "output",
    "price from",
)


def page(day: date) -> str:
    """The page as of that day, at noon: some prices depend on the hour."""
    known = shipped()
    at = datetime.combine(day, time(12), UTC)
    rows = [_row(row, known.price_providers.get(row.vendor, ""), at) for row in known.models]
    return "\n".join(
        (
            "<!-- Written by `make docs`; do not edit. -->",
            "",
            "# Models",
            "",
            f"List prices of {day.isoformat()}, in USD per million tokens; `+`: more for large requests.",
            "A call is billed at the price of its endpoint at that moment; `[[price]]` in providers.toml overrides it,",
            "from a day on and above a size. `omnisphere models` shows the prices of a running mesh.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *rows,
            "",
        )
    )


def shown_day() -> date:
    """The day of the page as it is."""
    match = _DAY.search(PATH.read_text(encoding="utf-8")) if PATH.exists() else None
    return date.fromisoformat(match.group(1)) if match else datetime.now(UTC).date()


def current() -> str:
    """The page of its own day where it still says what the code says; else of today."""
    own = page(shown_day())
    kept = PATH.exists() and PATH.read_text(encoding="utf-8") == own
    return own if kept else page(datetime.now(UTC).date())


def _row(row: ModelRow, provider: str, at: datetime) -> str:
    price = row.price.price() if row.price is not None else look_up(provider, row.id, input_only=row.embeds)
    listed = price.listed(at) if price is not None else None
    more = "+" if listed is not None and listed.tiered else ""
    figures = (
        ("unknown", "", "", "", "")
        if listed is None
        else (
            listed.input_usd_per_mtok + more,
            listed.cache_read_usd_per_mtok,
            listed.cache_write_usd_per_mtok,
            "" if row.embeds else listed.output_usd_per_mtok + more,
            listed.source,
        )
    )
    names = ", ".join(f"`{alias}`" for alias in row.aliases)
    return f"| {' | '.join((f'`{row.id}`', names, row.vendor, row.tier, f'{row.window_tokens:,}', *figures))} |"
