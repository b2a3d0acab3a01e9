"""A tool reads as its vendor shows it to the model."""

from __future__ import annotations

import json

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.tool_text import tool_text


def tool(schema, description=""):
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return chat.Tool(name="act", description=description, parameters_json=text)


NESTED = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["a", "b"], "description": "Which\nkind"},
        "count": {"type": "integer", "default": 3},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {"type": "object", "properties": {"city": {"type": "string"}}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "any": {},
    },
    "required": ["kind"],
}


def test_typescript_has_types_comments_and_defaults():
    assert tool_text(tool(NESTED, "Does it."), "typescript") == (
        "// Does it.\n"
        "type act = (_: {\n"
        '// Which\n// kind\nkind: "a" | "b",\n'
        "count?: number, // default: 3\n"
        "tags?: string[],\n"
        "place?: {\ncity?: string,\n},\n"
        "either?: string | null,\n"
        "any?: any,\n"
        "}) => any;\n\n"
    )
    assert tool_text(tool({}), "typescript") == "type act = () => any;\n\n"


def test_words_are_names_types_and_descriptions():
    schema = {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING", "description": "Where"}},
        "required": ["city"],
    }
    assert tool_text(tool(schema, "Does it."), "words") == "act Does it. OBJECT city STRING Where city"


def test_what_is_no_schema_stays_as_it_is():
    for strange in ("no json", "[1]", '{"properties": 5}', '{"properties": {"a": 7}, "required": "a"}'):
        for form in ("json", "typescript", "words"):
            assert tool_text(tool(strange), form).startswith(("act", "type act"))
    endless: dict[str, object] = {"type": "string"}
    for _ in range(40):
        endless = {"type": "array", "items": endless}
    assert len(tool_text(tool({"properties": {"a": endless}}), "typescript")) < 200
