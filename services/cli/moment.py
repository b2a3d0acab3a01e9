"""Reads a moment as a person says it: a date, an ISO moment, or how long ago. No clock of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,6})([smhdw])(?: ago)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORMS = "neither a date (2026-11-01), nor a moment (2026-11-01T12:30), nor a duration ago (90m, 36h, 7d, 2w)"


def read_moment(text: str, *, now: datetime) -> datetime:
    """The moment, in UTC where it names no other offset; a date is its first moment. Raises ValueError."""
    said = text.strip()
    try:
        if ago := _AGO.fullmatch(said):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(said)
    except (ValueError, OverflowError) as failure:
        raise ValueError(f"{text!r} is {_FORMS}") from failure
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
