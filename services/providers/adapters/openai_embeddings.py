"""The embeddings wire format: OpenAI's own, and that of every compatible server. No I/O.

    https://platform.openai.com/docs/api-reference/embeddings

Vectors come as lists of numbers or as base64 of little-endian 32-bit floats; both are read, whichever was asked for.
`base64_vectors` asks for the latter, which takes a third of the bytes; not every compatible server knows it.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Embedded, Encoded, ErrorInAnswer, MalformedAnswer, Target

# A count from here on is no count: it would not fit the books.
_MOST_TOKENS = 10**12
_FLOAT_BYTES = 4
# The largest answer that fits a message of the mesh with room for its frame.
_MOST_VALUES = 31 * 1024 * 1024 // _FLOAT_BYTES


class OpenAIEmbeddings:
    """Adapter of the format; stateless."""

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token."""
        del quirks
        return {"authorization": f"Bearer {key}"} if key else {}

    def encode(self, texts: Sequence[str], target: Target, *, dimensions: int | None) -> Encoded:
        """The request as JSON."""
        document: dict[str, object] = {
            "model": target.served_name,
            "input": list(texts),
            "encoding_format": "base64" if "base64_vectors" in target.quirks else "float",
        }
        if dimensions is not None:
            document["dimensions"] = dimensions
        return Encoded("/embeddings", json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), ())

    def read(self, body: bytes, *, texts: int, dimensions: int | None) -> Embedded:
        """The vectors, whichever way they are written."""
        return _read(body, texts=texts, dimensions=dimensions)


def _read(body: bytes, *, texts: int, dimensions: int | None) -> Embedded:
    document = _parsed(body)
    if error := document.get("error"):
        raise ErrorInAnswer(error if isinstance(error, dict) else {"message": str(error)})
    rows = document.get("data")
    if not isinstance(rows, list):
        raise MalformedAnswer
    if not rows:
        raise MalformedAnswer("empty")
    vectors = [_vector(row.get("embedding")) for row in _ordered(rows, texts)]
    length = len(vectors[0])
    if any(len(vector) != length for vector in vectors):
        raise MalformedAnswer
    if dimensions is not None and length != dimensions:
        raise MalformedAnswer("dimensions")
    if length * texts > _MOST_VALUES:
        raise MalformedAnswer("too_large")
    upstream_id = document.get("id")
    return Embedded(vectors, _usage(document.get("usage")), upstream_id[:256] if isinstance(upstream_id, str) else "")


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedAnswer from None
    if not isinstance(document, dict):
        raise MalformedAnswer
    return document


def _ordered(rows: Sequence[Any], texts: int) -> Sequence[Mapping[str, Any]]:
    """The rows by their index; where none has one, as they come."""
    if len(rows) != texts or not all(isinstance(row, dict) for row in rows):
        raise MalformedAnswer
    places = [row.get("index") for row in rows]
    if all(place is None for place in places):
        return rows
    by_place = {place: row for place, row in zip(places, rows, strict=True) if type(place) is int}
    if by_place.keys() != set(range(texts)):
        raise MalformedAnswer
    return [by_place[place] for place in range(texts)]


def _vector(value: object) -> array[float]:
    """The floats of one vector; at least one, all of them finite."""
    vector = array("f")
    try:
        if isinstance(value, str):
            vector.frombytes(base64.b64decode(value, validate=True))
            if sys.byteorder == "big":
                vector.byteswap()
        elif isinstance(value, list) and set(map(type, value)) <= {int, float}:
            vector.extend(value)
    except (ValueError, OverflowError):
        raise MalformedAnswer from None
    if not vector or not all(map(math.isfinite, vector)):
        raise MalformedAnswer
    return vector


def _usage(raw: object) -> chat_pb2.Usage | None:
    """All of it is input. A text has at least one token, so a count of none is no report."""
    for name in ("prompt_tokens", "total_tokens"):
        count = raw.get(name) if isinstance(raw, dict) else None
        if isinstance(count, int) and not isinstance(count, bool) and 0 < count < _MOST_TOKENS:
            return chat_pb2.Usage(input_uncached_tokens=count)
    return None
