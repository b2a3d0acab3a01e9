"""The short answer in a model's text: what several answers are compared by. Pure.

    the prompt lists options      the letter that is chosen
    a field named answer          its value: a document of JSON, whole, broken or behind other text
    \\boxed{...}, "#### ...",      what stands there, the last one
    "the answer is ..."
    else                          the last number of the end, or a text that is short by itself

A number with its currency or unit is that number: "$54", "54 miles" and "54.0" are one answer.
"""

from __future__ import annotations

import re

from services.router.judge.agreement import CHOICE, canonical

_MOST = 20_000
_TAIL = 400
_LONGEST_NUMBER = 80
# "A good answer is a long one" chooses nothing.
_CHOICE = re.compile(r"(?i:answer|option|choice)\W{0,4}(?i:is)?\W{0,4}([A-J]\b|[a-j](?=[).*]|\s*$))")
# A JSON string may hold a backslash that no JSON parser takes (LaTeX), so it is no JSON parser that reads it.
_FIELD = re.compile(
    r"""\b(?:final[ _]?)?answer["']\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"][^\n]{0,400}?)"""
    r"""(?:,?[ \t]{0,9}$|\s{0,9}\}\s{0,9}$|,\s{0,9}"\w+"\s?:))""",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\boxed\s*\{")
_HASHES = re.compile(r"^#{4}\s*(\S.*)$", re.MULTILINE)
_SAID = re.compile(
    r"\banswer\b(?:\s+is|\s*:)\s*:?\s*([^\n]{1,120}?)(?:\.(?=\s|\*|$)|\*\*|$)", re.IGNORECASE | re.MULTILINE
)
_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")
# A unit stands behind a space: 12ab is no number.
_MEASURED = re.compile(
    r"(?:[a-z]\w?\s*=\s*)?(-?)\s*(?:[€£¥]|\\?\$)?\s*(-?\d[\d,]*(?:\.\d+)?)"
    r"\s*(?:\\?%|°|\s[a-z][a-z.²³/^-]*(?: [a-z.²³/^-]+){0,2}|)\.?",
    re.IGNORECASE,
)
_OPERATOR = re.compile(r" ([*/^]) ")
_QUOTES = "\"'`"


def extracted(text: str, options: int) -> str | None:
    """The canonical short answer; None where the text has none. `options`: how many the prompt lists, 0 for none."""
    stripped = text[-_MOST:].strip()
    if options > 1:
        return _letter(stripped)
    stated = _stated(stripped)
    if stated is not None:
        return _valued(stated)
    if "```" in stripped:
        return None
    numbers = _NUMBER.findall(stripped[-_TAIL:])
    if numbers:
        return canonical(numbers[-1].replace("$", ""))
    return canonical(stripped) if stripped and len(stripped) <= _TAIL // 4 else None


def _letter(text: str) -> str | None:
    stated = _stated(text)
    for short in (text, *(() if stated is None else (stated.strip(" *"),))):
        found = CHOICE.fullmatch(short)
        if found:
            return found.group(1).lower()
    chosen = _CHOICE.findall(text)
    return chosen[-1].lower() if chosen else None


def _stated(text: str) -> str | None:
    """What the text itself calls its answer, the last one; None: it does not say."""
    fields = _FIELD.findall(text)
    if fields:
        quoted, bare = fields[-1]
        # Other escapes stay: models write \n and \frac in JSON, and mean the letters.
        return str(bare) if bare else quoted.replace('\\"', '"').replace("\\\\", "\\")
    boxes = [match.end() for match in _BOXED.finditer(text)]
    if boxes:
        return _braced(text, boxes[-1])
    for pattern in (_HASHES, _SAID):
        said = pattern.findall(text)
        if said:
            return str(said[-1]).strip(" *")
    return None


def _braced(text: str, start: int) -> str:
    """From there to the brace that closes it."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[start:place]
    return text[start:]


def _valued(stated: str) -> str | None:
    """A stated answer in canonical form."""
    short = stated.strip()
    if len(short) > 1 and short[0] == short[-1] and short[0] in _QUOTES:
        short = short[1:-1]
    measured = _MEASURED.fullmatch(short) if len(short) <= _LONGEST_NUMBER else None
    if measured:
        return canonical(measured.group(1) + measured.group(2))
    return canonical(_OPERATOR.sub(r"\1", short))
