"""JSON as providers write it and want it: read leniently where that is safe, written without changing it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.providers.adapters import MalformedAnswer

Json = dict[str, Any]
# A count from here on is no count: it would not fit the books.
_MOST_TOKENS = 10**12
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_NOTHING: Mapping[str, Any] = {}


def parsed(text: str | bytes) -> Any:  # noqa: ANN401 - whatever the provider sent
    """The JSON document. Bytes that are no UTF-8, and an escaped half of a surrogate pair, become U+FFFD."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # so few documents are that the slower reader may look at what the strict one refuses
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", errors="replace")
    try:
        document = json.loads(text)
        if _ESCAPED_HALF.search(text):
            whole = json.dumps(document, ensure_ascii=False)
            document = json.loads(_HALF.sub("\N{REPLACEMENT CHARACTER}", whole))
    except (ValueError, RecursionError):
        raise MalformedAnswer from None
    return document


def parsed_object(text: str | bytes) -> Json:
    """The JSON object. Raises MalformedAnswer for any other document."""
    document = parsed(text)
    if not isinstance(document, dict):
        raise MalformedAnswer
    return document


def dumped(body: object) -> bytes:
    """Compact JSON, keys in their order."""
    try:
        return orjson.dumps(body)
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits, that a caller gave
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", errors="backslashreplace")


def compact(value: object) -> str:
    """The same as text."""
    return dumped(value).decode()


def is_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def string(value: object) -> str:
    """The value where it is text; else empty."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object; else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def objects(value: object) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; nothing where there is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else ()


def count(raw: object, name: str) -> int:
    """A number of tokens; 0 where there is none. Some vendors write 12.0."""
    value = raw.get(name) if isinstance(raw, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value < _MOST_TOKENS else 0
