"""The embeddings wire format: OpenAI's own, and that of every compatible server. No I/O.

    https://platform.openai.com/docs/api-reference/embeddings

Vectors come as lists of numbers or as base64 of little-endian 32-bit floats; both are read, whichever was asked for.
`base64_vectors` asks for the latter, which takes a third of the bytes; not every compatible server knows it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Embedded, Encoded, MalformedAnswer, Target
from services.providers.adapters.headers import bearer
from services.providers.adapters.json_text import Json, count, dumped, parsed_object, string
from services.providers.adapters.reading import refuse
from services.providers.adapters.vectors import same_length, vector


class OpenAIEmbeddings:
    """Adapter of the format; stateless."""

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token, or Azure's header."""
        return bearer(key, quirks)

    def encode(self, texts: Sequence[str], target: Target, *, dimensions: int | None) -> Encoded:
        """The request as JSON."""
        document: Json = {
            "model": target.served_name,
            "input": list(texts),
            "encoding_format": "base64" if "base64_vectors" in target.quirks else "float",
        }
        if dimensions is not None:
            document["dimensions"] = dimensions
        return Encoded("/embeddings", dumped(document), ())

    def read(self, body: bytes, *, texts: int, dimensions: int | None) -> Embedded:
        """The vectors, whichever way they are written."""
        document = parsed_object(body)
        refuse(document.get("error"))
        usage = _usage(document.get("usage"))
        try:
            found = _vectors(document.get("data"), texts, dimensions)
        except MalformedAnswer as failure:
            failure.billed = usage
            raise
        named = (string(document.get(name))[:256] for name in ("id", "model"))
        return Embedded(found, usage, *named)


def _vectors(rows: object, texts: int, dimensions: int | None) -> Sequence[array[float]]:
    if not isinstance(rows, list):
        raise MalformedAnswer
    if not rows:
        raise MalformedAnswer("empty")
    vectors = [vector(row.get("embedding")) for row in _ordered(rows, texts)]
    return same_length(vectors, texts=texts, dimensions=dimensions)


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


def _usage(raw: object) -> chat_pb2.Usage | None:
    """All of it is input. A text has at least one token, so a count of none is no report."""
    tokens = count(raw, "prompt_tokens") or count(raw, "total_tokens")
    return chat_pb2.Usage(input_uncached_tokens=tokens) if tokens else None
