"""Settings: the environment says where and how, TOML files say what. All problems are reported at once.

A settings class is a frozen dataclass whose fields are made with `setting()`. The same decoder reads TOML tables into
frozen dataclasses, so that every file of the project is checked in one way.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PORT = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
# Forms of text that settings have.
HOST_PORT = re.compile(rf"{_HOST}:{_PORT}")
HTTP_URL = re.compile(rf"https?://{_HOST}(?::{_PORT})?(?:/\S*)?")
REDIS_URL = re.compile(rf"rediss?://(?:[^@\s]*@)?{_HOST}(?::{_PORT})?(?:[/?]\S*)?|unix://\S+")
_FORMS = {
    HOST_PORT: "is not host:port, for example 127.0.0.1:50052",
    HTTP_URL: "is not http://host:port",
    REDIS_URL: "is not redis://[:password@]host:port/db",
}
_PLACE = re.compile(r"\(at (?:line \d+, column \d+|end of document)\)$")
_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"0", "false", "off", "no"}


class StartError(Exception):
    """A service cannot start; the text is for the operator and holds no secret. May have several lines."""


class Secret:
    """A value that never shows itself: not in repr, not in str, not in a log."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value. Only for the place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)


def setting(
    default: Any, text: str, *, env: str = "", least: Any = None, most: Any = None, form: re.Pattern[str] | None = None
) -> Any:
    """A field of a settings class: its default and what it means. `env`: a variable that several services share.

    A value is from `least` to `most`, both allowed; a text has the `form`. None: nothing is asked.
    """
    metadata = {"env": env, "text": text, "least": least, "most": most, "form": form}
    return dataclasses.field(default=default, metadata=metadata)


def variable(field: dataclasses.Field[Any], prefix: str) -> str:
    """The environment variable of a field: the shared one, or OMNISPHERE_CACHE_PORT for `port` under its prefix."""
    return str(field.metadata.get("env", "")) or f"{prefix}_{field.name.upper()}"


def environment() -> Mapping[str, str]:
    """The process's environment; the only place that reads it."""
    return os.environ  # noqa: TID251


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where files live that outlast the process: OMNISPHERE_STATE, else a directory of the user's own."""
    if said := environ.get("OMNISPHERE_STATE"):
        return Path(said)
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "omnisphere"


def load(kind: type[T], environ: Mapping[str, str], *, prefix: str, others: Collection[str] = ()) -> T:
    """The settings of one service from variables such as OMNISPHERE_CACHE_PORT (prefix OMNISPHERE_CACHE).

    Raises StartError that names every variable that is wrong, or that nobody knows: a misspelt one must not be ignored.
    `others` are variables under the prefix that are somebody else's.
    """
    problems: list[str] = []
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    known = set(others)
    for field in dataclasses.fields(typing.cast("Any", kind)):
        name = variable(field, prefix)
        known.add(name)
        raw = environ.get(name)
        if raw is not None and raw != "":
            value = values[field.name] = decode(hints[field.name], raw, name, problems)
            if value is not None and (problem := _outside(value, field.metadata)):
                problems.append(f"{name}: {problem}")
    ours = sorted(name for name in environ if name.startswith(f"{prefix}_"))
    problems.extend(unknown(name, known) for name in ours if name not in known)
    if problems:
        raise StartError("\n".join(problems))
    return kind(**values)


def unknown(name: str, known: Collection[str]) -> str:
    """The problem of a variable that nobody reads."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"{name}: is not known" + (f"; did you mean {near[0]}?" if near else "")


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file. Raises StartError that names the file and the place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise StartError(f"{path}: cannot be read: {failure.strerror}") from failure
    except UnicodeDecodeError as failure:
        raise StartError(f"{path}: is not UTF-8") from failure
    except tomllib.TOMLDecodeError as failure:
        raise StartError(f"{path}: {failure}") from failure
    except (ValueError, RecursionError) as failure:  # of numbers and brackets beyond all measure
        raise StartError(f"{path}: is not TOML") from failure


def place_of(failure: Exception) -> str:
    """Where a text stopped being TOML, as " (at line 2, column 5)", without a word of the text; empty: nobody knows."""
    found = _PLACE.search(str(failure)) if isinstance(failure, tomllib.TOMLDecodeError) else None
    return f" {found.group()}" if found else ""


def decode(kind: Any, raw: object, where: str, problems: list[str]) -> Any:
    """`raw` (from the environment: text; from TOML: its types) as `kind`.

    What is wrong is added to `problems` as "where: what"; the value is then None and must not be used.
    """
    if dataclasses.is_dataclass(kind):
        return _table(typing.cast("type", kind), raw, where, problems)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return decode(next(a for a in typing.get_args(kind) if a is not type(None)), raw, where, problems)
    if origin is typing.Literal:
        return _choice(typing.get_args(kind), raw, where, problems)
    if origin is tuple:
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list):
            return _wrong(problems, where, "is not a list")
        inner = typing.get_args(kind)[0]
        return tuple(
            decode(inner, i.strip() if isinstance(i, str) else i, f"{where}[{n}]", problems)
            for n, i in enumerate(items)
            if i != ""
        )
    if origin is dict:
        if not isinstance(raw, dict):
            return _wrong(problems, where, "is not a table")
        inner = typing.get_args(kind)[1]
        return {key: decode(inner, value, f"{where}.{key}", problems) for key, value in raw.items()}
    return _scalar(kind, raw, where, problems)


def _outside(value: Any, asked: Mapping[str, Any]) -> str:
    """What is wrong with a value of the right type; empty: nothing."""
    least, most, form = asked.get("least"), asked.get("most"), asked.get("form")
    text = value.reveal() if isinstance(value, Secret) else value
    if form is not None and not form.fullmatch(text):
        return _FORMS[form]
    # Written so that NaN is outside.
    if (least is None or least <= value) and (most is None or value <= most):
        return ""
    if most is None:
        return f"must be at least {duration_text(least)}"
    return f"must be between {duration_text(least)} and {duration_text(most)}"


def duration_text(value: object) -> str:
    """A duration as an operator writes it; everything else as it is."""
    if not isinstance(value, timedelta):
        return str(value)
    seconds = value.total_seconds()
    if seconds and not seconds % _UNITS["d"]:
        return f"{seconds / _UNITS['d']:g}d"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"


def _table(kind: type, raw: object, where: str, problems: list[str]) -> Any:
    if not isinstance(raw, dict):
        return _wrong(problems, where, "is not a table")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    before = len(problems)
    known = ", ".join(sorted(fields))
    problems.extend(f"{where}.{key}: is not known; known are {known}" for key in sorted(set(raw) - set(fields)))
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if no_default and name not in raw:
            problems.append(f"{where}.{name}: is missing")
    values = {name: decode(hints[name], raw[name], f"{where}.{name}", problems) for name in fields if name in raw}
    if len(problems) > before:
        return None
    try:
        return kind(**values)
    except ValueError as failure:  # raised by the dataclass's own checks, in our words
        return _wrong(problems, where, str(failure))


def _choice(allowed: Sequence[object], raw: object, where: str, problems: list[str]) -> object:
    if raw in allowed:
        return raw
    return _wrong(problems, where, f"must be one of {', '.join(map(str, allowed))}")


def _scalar(kind: Any, raw: object, where: str, problems: list[str]) -> object:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        chosen = _choice(list(kind), raw, where, problems)
        return None if chosen is None else kind(str(chosen))
    if kind is bool:
        return _bool(raw, where, problems)
    if kind is str:
        return raw if isinstance(raw, str) else _wrong(problems, where, "is not text")
    if kind is Path and isinstance(raw, str):
        return Path(raw).expanduser()
    if kind is Secret and isinstance(raw, str):
        return Secret(raw)
    if kind is timedelta:
        match = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
        if match is None:
            return _wrong(problems, where, 'is not a duration such as "500ms", "2s" or "10m"')
        return timedelta(seconds=float(match.group(1)) * _UNITS[match.group(2)])
    return _number(kind, raw, where, problems)


def _bool(raw: object, where: str, problems: list[str]) -> object:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    return _wrong(problems, where, "must be on or off")


def _number(kind: Any, raw: object, where: str, problems: list[str]) -> object:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return _wrong(problems, where, "is not a number")
    try:
        if kind is Decimal:
            return Decimal(str(raw))
        if kind is int and isinstance(raw, float):
            return _wrong(problems, where, "is not a whole number")
        return kind(raw)
    except (ValueError, InvalidOperation):
        return _wrong(problems, where, "is not a whole number" if kind is int else "is not a number")


def _wrong(problems: list[str], where: str, what: str) -> Any:
    problems.append(f"{where}: {what}")
    return None
