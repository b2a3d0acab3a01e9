"""Sample values follow their schema."""

from __future__ import annotations

from services.simulator.json_sample import sample


def test_only_required_keys_are_made_from_their_types():
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 3},
            "share": {"type": "number", "maximum": 0.5},
            "metric": {"type": ["null", "boolean"]},
            "unit": {"enum": ["C", "F"]},
            "kind": {"const": "x"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "at": {"$ref": "#/$defs/point"},
            "or": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "unasked": {"type": "string"},
        },
        "required": ["city", "days", "share", "metric", "unit", "kind", "tags", "at", "or"],
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "null"}}, "required": ["x"]}},
    }
    assert sample(schema) == {
        "city": "simulated",
        "days": 3,
        "share": 0.5,
        "metric": True,
        "unit": "C",
        "kind": "x",
        "tags": ["simulated", "simulated"],
        "at": {"x": None},
        "or": 1,
    }


def test_a_schema_that_holds_itself_ends():
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    made = sample(node)
    assert isinstance(made, dict)
    assert "next" in made


def test_an_object_without_required_keys_is_empty():
    assert sample({"type": "object"}) == {}
