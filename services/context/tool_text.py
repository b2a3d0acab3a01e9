"""What a model sees of a tool, as far as vendors show it. Pure.

json         the definition as it is: Claude, and the chat templates of open models
typescript   OpenAI: a type of a namespace, comments for descriptions (openai-cookbook, "How to count tokens")
words        Gemini: names, types and descriptions; the marks between them cost next to nothing
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from omnisphere.chat.v1 import chat_pb2 as chat

Form = Literal["json", "typescript", "words"]
Json = Mapping[str, Any]
# Deeper than any tool is nested; an endless schema cannot be.
_DEEPEST = 16


def tool_text(tool: chat.Tool, form: Form) -> str:
    """The text of a tool's definition in this form."""
    schema = _object(tool.parameters_json)
    if form == "typescript" and schema is not None:
        described = "".join(f"// {line}\n" for line in tool.description.splitlines())
        return f"{described}type {tool.name} = ({_arguments(schema)}) => any;\n\n"
    if form == "words" and schema is not None:
        return " ".join((tool.name, tool.description, *_words(schema, 0)))
    return f"{tool.name}{tool.description}{tool.parameters_json}"


def properties_of(schema_json: str) -> int:
    """How many properties a schema has, at any depth."""
    return schema_json.count('"type"')


def _object(text: str) -> Json | None:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _arguments(schema: Json) -> str:
    fields = _fields(schema, 0)
    return f"_: {{\n{fields}}}" if fields else ""


def _fields(schema: Json, depth: int) -> str:
    given = schema.get("properties")
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    lines: list[str] = []
    for name, inner in given.items() if isinstance(given, dict) else ():
        found = inner if isinstance(inner, dict) else {}
        description = found.get("description")
        if isinstance(description, str):
            lines += [f"// {line}\n" for line in description.splitlines()]
        default = f", // default: {json.dumps(found['default'])}" if found.get("default") is not None else ","
        lines.append(f"{name}{'' if name in needed else '?'}: {_type(found, depth + 1)}{default}\n")
    return "".join(lines)


def _type(schema: Json, depth: int) -> str:
    if depth > _DEEPEST:
        return "any"
    choices, among = schema.get("enum"), schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list):
        return " | ".join(json.dumps(choice) for choice in choices)
    if isinstance(among, list):
        return " | ".join(_type(each, depth + 1) for each in among if isinstance(each, dict))
    kind, items = schema.get("type"), schema.get("items")
    if kind == "array":
        return f"{_type(items, depth + 1) if isinstance(items, dict) else 'any'}[]"
    if kind == "object" or "properties" in schema:
        return f"{{\n{_fields(schema, depth)}}}"
    return {"integer": "number"}.get(str(kind), str(kind)) if isinstance(kind, str) else "any"


def _words(schema: Any, depth: int) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Names of properties and every text, types in capitals as Gemini has them."""
    if depth > _DEEPEST:
        return
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "properties" and isinstance(inner, dict):
                for field, found in inner.items():
                    yield field
                    yield from _words(found, depth + 1)
            elif name in _SHOWN:
                yield from _words(inner, depth + 1)
    elif isinstance(schema, list):
        for each in schema:
            yield from _words(each, depth + 1)
    elif isinstance(schema, str):
        yield schema


_SHOWN = frozenset({"type", "description", "items", "required", "enum", "anyOf", "format", "title"})
