"""Does a reply answer its prompt? One pure rule per kind of check."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

# Letters of alphabets that part their words with spaces; others (Chinese, Japanese) do not.
_LETTER = r"[0-9A-Za-z_\u00C0-\u024F\u0370-\u04FF]"
_NUMBER = re.compile(r"(?:(?<![\w)])[-\u2212])?\d+(?:,\d{3})+(?:\.\d+)?|(?:(?<![\w)])[-\u2212])?\d+(?:\.\d+)?")
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)


def check(reply_text: str, spec: Mapping[str, object]) -> bool:
    """True when the reply passes; prose around the answer and letter case do not matter."""
    return CHECKS[str(spec["kind"])](reply_text, spec)


def problem(spec: Mapping[str, object]) -> str | None:
    """What is wrong with a check itself, or None."""
    kind = spec.get("kind")
    if kind not in CHECKS:
        return f"kind {kind!r} is none of {', '.join(CHECKS)}"
    wanted: dict[str, type | tuple[type, ...]] = {
        "number": (int, float),
        "contains_all": list,
        "label": str,
        "json_fields": dict,
    }
    key = {"contains_all": "values", "json_fields": "fields"}.get(str(kind), "value")
    if not isinstance(spec.get(key), wanted[str(kind)]):
        return f"{kind} needs {key!r}"
    if kind == "label":
        labels = spec.get("labels")
        if not isinstance(labels, list) or spec["value"] not in labels:
            return "label needs 'labels' that hold its 'value'"
    return None


def _number(reply: str, spec: Mapping[str, object]) -> bool:
    """The wanted number stands somewhere in the reply, as digits or, without any, as a word."""
    wanted = _float(spec["value"])
    slack = _float(spec.get("tolerance", 0)) + 1e-9
    plain = (text.replace(",", "").replace("\u2212", "-") for text in _NUMBER.findall(reply))
    found = [float(text) for text in plain]
    if not found:
        found = [float(_WORDS.index(w)) for w in re.findall(r"[a-z]+", reply.lower()) if w in _WORDS]
    return any(abs(value - wanted) <= slack for value in found)


def _contains_all(reply: str, spec: Mapping[str, object]) -> bool:
    """Every wanted text is there; a list in place of a text means any one of them."""
    plain = _plain(reply)
    values = spec["values"]
    if not isinstance(values, list):
        return False
    return all(
        any(_names(plain, str(text)) for text in (value if isinstance(value, list) else [value])) for value in values
    )


def _label(reply: str, spec: Mapping[str, object]) -> bool:
    """Exactly one label of the set is named, and it is the wanted one."""
    labels = spec["labels"]
    if not isinstance(labels, list):
        return False
    plain = _plain(reply)
    named: set[str] = set()
    # Longest first, and taken out once found: "not spam" must not count as "spam" too.
    for label in sorted((str(label) for label in labels), key=len, reverse=True):
        plain, count = re.subn(_pattern(label), " ", plain)
        if count:
            named.add(label)
    return named == {spec["value"]}


def _json_fields(reply: str, spec: Mapping[str, object]) -> bool:
    """The first JSON object in the reply has the wanted fields; others may stand beside them."""
    fields = spec["fields"]
    found = _first_object(reply)
    if found is None or not isinstance(fields, Mapping):
        return False
    return all(key in found and _same(found[key], value) for key, value in fields.items())


CHECKS: dict[str, Callable[[str, Mapping[str, object]], bool]] = {
    "number": _number,
    "contains_all": _contains_all,
    "label": _label,
    "json_fields": _json_fields,
}


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _names(plain: str, text: str) -> bool:
    return re.search(_pattern(text), plain) is not None


def _pattern(text: str) -> str:
    """A pattern for the text as whole words, so that "male" is not found in "female"."""
    wanted = _plain(text)
    before = rf"(?<!{_LETTER})" if re.match(_LETTER, wanted) else ""
    after = rf"(?!{_LETTER})" if re.search(rf"{_LETTER}$", wanted) else ""
    return before + re.escape(wanted) + after


def _first_object(reply: str) -> dict[str, object] | None:
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"\{", reply)):
        try:
            value, _ = decoder.raw_decode(reply, start)
        except ValueError:
            continue
        return value if isinstance(value, dict) else None
    return None


def _same(found: object, wanted: object) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return _plain(found) == _plain(wanted)
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return found == wanted
