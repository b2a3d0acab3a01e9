"""JSON of providers is read where it can be, whatever its bytes."""

from __future__ import annotations

import pytest

from services.providers.adapters import MalformedAnswer
from services.providers.adapters.json_text import parsed_object


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"a": "ü"}'.encode(), "ü"),
        (b'\xef\xbb\xbf{"a": "after a mark"}', "after a mark"),
        (b'{"a": "no \xff character"}', "no \ufffd character"),
        (rb'{"a": "half \ud800 a pair"}', "half \ufffd a pair"),
    ],
)
def test_bytes_are_read_as_the_text_that_they_are(body: bytes, text: str):
    assert parsed_object(body) == {"a": text}


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[1", b"null", b"[" * 100_000])
def test_what_is_no_object_is_malformed(body: bytes):
    with pytest.raises(MalformedAnswer):
        parsed_object(body)
