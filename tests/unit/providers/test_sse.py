"""Bytes to events: the same for every chunking, every line ending, every break in the middle of a character."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers import sse
from services.providers.sse import EventStream, EventTooLarge

# Stream -> the data of its events.
STREAMS = {
    "lf": (b'data: {"a":1}\n\ndata: [DONE]\n\n', ['{"a":1}', "[DONE]"]),
    "crlf": (b"data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"]),
    "cr": (b"data: one\r\rdata: two\r\r", ["one", "two"]),
    "mixed ends": (b"data: one\r\n\ndata: two\n\r\ndata: three\r\r\n", ["one", "two", "three"]),
    "comments": (b": OPENROUTER PROCESSING\n\n:\n\ndata: one\n: in between\n\n", ["one"]),
    "no space": (b"data:one\n\ndata:  two\n\n", ["one", " two"]),
    "other fields": (b"event: delta\nid: 7\nretry: 10\ndata: one\n\nevent: ping\n\n", ["one"]),
    "several lines": (b"data: one\ndata: two\ndata:\n\n", ["one\ntwo\n"]),
    "a field without a colon": (b"data\n\ndata: one\n\n", ["", "one"]),
    "characters of two to four bytes": ("data: äß→字😀\n\n".encode(), ["äß→字😀"]),
    "bytes that are no character": (b"data: a\xffb\n\n", ["a\ufffdb"]),
    "a byte order mark": (b"\xef\xbb\xbfdata: one\n\ndata: two\n\n", ["one", "two"]),
    "no final blank line": (b"data: one\n\ndata: two\n", ["one", "two"]),
    "no final line end": (b"data: one\n\ndata: two", ["one", "two"]),
    "a final CR": (b"data: one\r\n\r\ndata: two\r", ["one", "two"]),
    "a name that only begins alike": (b"database: x\ndata : y\n\ndata: one\n\n", ["one"]),
    "nothing": (b"", []),
    "blank lines": (b"\n\n\r\n\r\r\n", []),
}


def read(chunks: Iterable[bytes]) -> list[str]:
    stream = EventStream()
    events = [event for chunk in chunks for event in stream.feed(chunk)]
    return events + list(stream.end())


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_whole_byte_by_byte_and_cut_anywhere_once(name):
    stream, events = STREAMS[name]
    assert read([stream]) == events
    assert read(stream[at : at + 1] for at in range(len(stream))) == events
    for place in range(len(stream) + 1):
        assert read([stream[:place], stream[place:]]) == events


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 10_000), max_size=12))
def test_every_chunking_gives_equal_events(name, places):
    stream, events = STREAMS[name]
    assert read(cut(stream, places)) == events


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20), max_size=6),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_what_is_written_is_read_for_every_line_end_and_chunking(texts, end, places):
    stream = "".join(f": comment{end}data: {text}{end}{end}" for text in texts).encode()
    assert read(cut(stream, places)) == texts


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_give_the_same_events_in_every_chunking(noise, places):
    assert read(cut(noise, places)) == read([noise])


def test_an_event_is_given_out_as_soon_as_it_is_complete():
    stream = EventStream()
    assert list(stream.feed(b"data: one\n")) == []
    assert list(stream.feed(b"\ndata: tw")) == ["one"]
    assert list(stream.feed(b"o\n\n")) == ["two"]
    assert list(stream.end()) == []


def test_an_event_over_the_limit_is_refused_in_one_line_or_in_many(monkeypatch):
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 64)
    for chunk in (b"data: " + b"x" * 70, b"data: 12345678\n" * 9, b": " + b"x" * 70):
        with pytest.raises(EventTooLarge):
            read([chunk])
    with pytest.raises(EventTooLarge):
        read([b"data: 1234\n", b"data: 5678\n"] * 10)


def test_many_small_events_are_no_large_one(monkeypatch):
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 64)
    assert read([b"data: 12345678\n\n"] * 100) == ["12345678"] * 100
