"""Values of a JSON body as the types they must have; what is wrong is refused with its path in the caller's terms."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from typing import Any

import orjson

from services.router.edge.errors import Refused, wrong

Json = dict[str, Any]
_TYPE = "invalid_type"
_DATA_URL = re.compile(r"data:([A-Za-z0-9.+/-]{1,128})(?:;[A-Za-z0-9=._-]{1,64})*?;base64,")


def document(body: bytes) -> Json:
    """The JSON object of a body. What is malformed is named by line and column, never by its content."""
    if not body:
        raise Refused(400, "the body is empty", code="invalid_json")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as failure:
        if not _is_utf8(body):
            raise Refused(400, "the body is not UTF-8", code="invalid_json") from None
        where = f"line {failure.lineno}, column {failure.colno} (character {failure.pos})"
        raise Refused(400, f"the body is not valid JSON: {where}", code="invalid_json") from None
    if not isinstance(parsed, dict):
        raise Refused(400, "the body is not a JSON object", code="invalid_json")
    return parsed


def text(value: object, path: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong(path, "is missing" if value is None else "is not a string", _TYPE)
    return value


def number(value: object, path: str) -> float:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(path, "is missing" if value is None else "is not a number", _TYPE)
    return value


def integer(value: object, path: str, *, bits: int = 64) -> int:
    """A whole number of so many bits."""
    most = 1 << (bits - 1)
    if isinstance(value, bool) or not isinstance(value, int) or not -most <= value < most:
        raise wrong(path, "is missing" if value is None else "is not a whole number", _TYPE)
    return value


def flag(value: object, path: str) -> bool:
    """True or false; null is false."""
    if value is not None and not isinstance(value, bool):
        raise wrong(path, "is not true or false", _TYPE)
    return bool(value)


def array(value: object, path: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise wrong(path, "is missing" if value is None else "is not an array", _TYPE)
    return value


def table(value: object, path: str) -> Json:
    """An object."""
    if not isinstance(value, dict):
        raise wrong(path, "is missing" if value is None else "is not an object", _TYPE)
    return value


def word(value: object, words: Collection[str], path: str) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in words:
        raise wrong(path, f"is not one of {', '.join(words)}")
    return value


def compact(value: Json | list[Json], path: str) -> str:
    """A JSON object, or an array of them, as text; keys in the caller's order."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # it writes fewer levels than it reads
        raise wrong(path, "is nested too deeply") from None


def decoded(value: object, path: str) -> bytes:
    """The bytes of base64 text."""
    try:
        return base64.b64decode(text(value, path), validate=True)
    except (binascii.Error, ValueError):
        raise wrong(path, "is not base64") from None


def data_url(value: str, path: str) -> tuple[str, bytes] | None:
    """(media type, bytes) of a data: URL; None: it is another address."""
    if not value.startswith("data:"):
        return None
    match = _DATA_URL.match(value)
    if match is None:
        raise wrong(path, "is not a data: URL with a media type and base64")
    return match.group(1), decoded(value[match.end() :], path)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
