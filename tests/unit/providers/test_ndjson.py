"""A line for each document, for every chunking."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers import ndjson
from services.providers.ndjson import LineStream
from services.providers.sse import EventTooLarge


def lines(chunks: list[bytes]) -> list[str]:
    stream = LineStream()
    found = [line for chunk in chunks for line in stream.feed(chunk)]
    return [*found, *stream.end()]


def test_empty_lines_and_either_end_of_a_line_are_no_documents():
    assert lines([b'\xef\xbb\xbf{"a":1}\r\n\n  \n{"b":2}\n{"c":', b"3}"]) == ['{"a":1}', '{"b":2}', '{"c":3}']
    assert lines([]) == []


@given(st.lists(st.integers(0, 100), max_size=6))
def test_the_lines_are_the_same_for_every_chunking(places):
    whole = '{"a":"ä🌧"}\r\n{"b":"ö"}\n\n{"c":1}'.encode()
    edges = [0, *sorted(place % len(whole) for place in places), len(whole)]
    assert lines([whole[a:b] for a, b in pairwise(edges)]) == ['{"a":"ä🌧"}', '{"b":"ö"}', '{"c":1}']


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ndjson, "MOST_EVENT_BYTES", 16)
    with pytest.raises(EventTooLarge):
        lines([b"x" * 17])
