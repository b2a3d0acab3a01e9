"""What an invalidation means comes back from bytes as it was, and bytes that are none are refused."""

from __future__ import annotations

import pytest

from services.cache.selection import Selection, read, written
from tests.unit.cache.samples import START, entry

KEPT = entry("1", tags=("t",))


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (Selection(), True),
        (Selection(entry_id=KEPT.entry_id, tag="t", model="model-1", scope=KEPT.asked().scope, until=START), True),
        (Selection(entry_id="other"), False),
        (Selection(tag="u"), False),
        (Selection(model="m"), False),
        (Selection(scope=b"other"), False),
        (Selection(until=START - 1), False),
    ],
)
def test_it_takes_what_matches_everything_that_is_set_and_travels(selection: Selection, takes: bool):
    assert selection.takes(KEPT) is takes
    assert read(written("a", selection)) == ("a", selection)


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b'["a", "", "", "", "zz", 0]', b'["a", "", "", "", 1, 0]', b"\xff"])
def test_bytes_that_are_none_are_refused(data: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - of any text
        read(data)
