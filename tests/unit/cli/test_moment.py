"""Moments as a person says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.cli.moment import read_moment

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:30", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("2026-11-01 12:30:15Z", datetime(2026, 11, 1, 12, 30, 15, tzinfo=UTC)),
        ("2026-11-01T12:30+02:00", datetime(2026, 11, 1, 10, 30, tzinfo=UTC)),
        ("45s", NOW - timedelta(seconds=45)),
        ("90m", NOW - timedelta(minutes=90)),
        ("36h", NOW - timedelta(hours=36)),
        ("7d", NOW - timedelta(days=7)),
        ("7d ago", NOW - timedelta(days=7)),
        (" 2w ", NOW - timedelta(weeks=2)),
    ],
)
def test_a_date_a_moment_and_a_duration_ago_are_read(text: str, moment: datetime):
    assert read_moment(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "7", "-7d", "7 d", "1.5h", "2026-13-01", "999999w", "7d later"])
def test_anything_else_is_refused_with_its_text(text: str):
    with pytest.raises(ValueError, match="is neither a date") as caught:
        read_moment(text, now=NOW)
    assert repr(text) in str(caught.value)
