"""What is wrong with an answer by rules alone: nothing in it, a refusal, an end in mid-sentence, a broken form. Pure.

A finding is a reason to ask another model, never a proof: each has a name, and the caller decides what it is worth.
Nothing is run and nothing is asked; a long answer is read up to a limit.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

_MOST = 20_000
_REFUSAL_WITHIN = 300
# "I'm sorry" is no refusal before somebody says what cannot be done.
_REFUSAL = re.compile(
    r"\b(?:sorry|unfortunately|apologi[sz]e)\b.{0,160}?\b(?:can(?:no|')t|unable|not able|won't|will not)\b"
    r"|\bI(?:'m| am) (?:unable|not able) to\b"
    r"|\bI (?:can(?:no|')t|won't|will not) (?:help|assist|answer|comply|do that|provide)\b"
    r"|\bas an AI(?: language)? model\b|\bI (?:must|have to) decline\b",
    re.IGNORECASE | re.DOTALL,
)
_ANOTHER_LANGUAGE = re.compile(
    r"translat|übersetz|tradu|\b(?:in|into|auf|en|al|au|to) (?:[A-Z]\w+|arabic|chinese|greek|hebrew|hindi|japanese"
    r"|korean|russian|thai|ukrainian)",
)
_FENCE = re.compile(r"```([\w+-]*)[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)
_WORD = re.compile(r"\w+", re.UNICODE)
# A window of so many words that comes so often is a loop, not a style.
_LOOP_WORDS, _LOOP_TIMES = 8, 5
_FEWEST_LETTERS = 40
# Of the letters of an answer so many must be of a script that the question does not use.
_OTHER_SCRIPT = 0.5
_DEEPEST = 32


class Finding(StrEnum):
    """What is wrong."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    SCHEMA = "schema"
    LANGUAGE = "language"
    CODE = "code"
    REPETITION = "repetition"


# How an answer looks. Where what answers say is compared, that is the better evidence.
LOOKS = frozenset({Finding.TRUNCATED, Finding.REPETITION})


def findings(
    question: str, answer: str, *, cut_off: bool, schema: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Everything that is wrong with the answer to a question, in the order of `Finding`; empty: nothing was found.

    `cut_off`: the provider said that it stopped at the limit of tokens. `schema`: what the response format asks for.
    """
    text = answer[:_MOST].strip()
    if not text:
        return (Finding.EMPTY,)
    known = {
        Finding.REFUSAL: bool(_REFUSAL.search(text[:_REFUSAL_WITHIN])),
        Finding.TRUNCATED: cut_off or text.count("```") % 2 == 1,
        Finding.SCHEMA: schema is not None and not _fits_schema(text, schema),
        Finding.LANGUAGE: _other_script(question[:_MOST], text),
        Finding.CODE: any(not _parses(code) for language, code in _blocks(text) if language in {"python", "py"}),
        Finding.REPETITION: _loops(text),
    }
    return tuple(finding for finding, found in known.items() if found)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    for language, code in _FENCE.findall(text):
        yield language.lower(), code


def _parses(code: str) -> bool:
    lines = [line for line in code.splitlines() if line.strip()]
    if any(line.lstrip().startswith((">>>", "$ ", "%", "!", "...")) for line in lines):
        return True  # a session, not a program
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _loops(text: str) -> bool:
    words = _WORD.findall(text.lower())
    windows = Counter(tuple(words[place : place + _LOOP_WORDS]) for place in range(len(words) - _LOOP_WORDS + 1))
    return any(times >= _LOOP_TIMES for times in windows.values())


def _other_script(question: str, answer: str) -> bool:
    """Whether most of the answer's letters are of a script that the question has none of."""
    if _ANOTHER_LANGUAGE.search(question):
        return False
    asked, said = _scripts(question), _scripts(answer)
    if sum(asked.values()) < _FEWEST_LETTERS or sum(said.values()) < _FEWEST_LETTERS:
        return False
    foreign = sum(times for script, times in said.items() if script not in asked)
    return foreign > _OTHER_SCRIPT * sum(said.values())


def _scripts(text: str) -> Counter[str]:
    return Counter(_script(ord(letter)) for letter in text if letter.isalpha())


def _script(code: int) -> str:
    for name, first, last in (
        ("latin", 0x41, 0x24F),
        ("greek", 0x370, 0x3FF),
        ("cyrillic", 0x400, 0x52F),
        ("hebrew", 0x590, 0x5FF),
        ("arabic", 0x600, 0x6FF),
        ("devanagari", 0x900, 0x97F),
        ("thai", 0xE00, 0xE7F),
        ("japanese", 0x3040, 0x30FF),
        ("chinese", 0x4E00, 0x9FFF),
        ("korean", 0xAC00, 0xD7AF),
    ):
        if first <= code <= last:
            return name
    return "other"


def _fits_schema(text: str, schema: Mapping[str, Any]) -> bool:
    fenced = next((code for _, code in _blocks(text)), text)
    try:
        value = json.loads(fenced)
    except (ValueError, RecursionError):
        return False
    return _fits(value, schema, _DEEPEST)


def _fits(value: object, schema: object, depth: int) -> bool:
    """The parts of JSON Schema that response formats use: type, enum, const, properties, required, items, anyOf."""
    if not isinstance(schema, Mapping) or depth == 0:
        return True
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        return False
    if isinstance(schema.get("anyOf"), list) and not any(_fits(value, one, depth - 1) for one in schema["anyOf"]):
        return False
    wanted = schema.get("type")
    types = wanted if isinstance(wanted, list) else [wanted] if isinstance(wanted, str) else []
    if types and not any(_is(value, name) for name in types):
        return False
    if isinstance(value, dict):
        return _fits_object(value, schema, depth)
    if isinstance(value, list) and "items" in schema:
        return all(_fits(item, schema["items"], depth - 1) for item in value)
    return True


def _fits_object(value: Mapping[str, object], schema: Mapping[str, Any], depth: int) -> bool:
    properties = schema.get("properties", {})
    if any(name not in value for name in schema.get("required", ())):
        return False
    if schema.get("additionalProperties") is False and any(name not in properties for name in value):
        return False
    return all(_fits(value[name], properties[name], depth - 1) for name in properties if name in value)


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "string": str,
        "number": (int, float),
        "object": dict,
        "array": list,
        "null": type(None),
    }
    return isinstance(value, kinds[name]) if name in kinds else name != "boolean"
