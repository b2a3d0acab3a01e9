"""The plainest value that a JSON schema allows, made without any randomness."""

from __future__ import annotations

from collections.abc import Mapping

# A schema may refer to itself; deeper than this nothing sensible is asked for.
_DEEPEST = 12


def sample(schema: Mapping[str, object]) -> object:
    """A value for the schema: only required keys, "simulated" for text, 1 and true."""
    return _value(schema, schema, 0)


def _value(schema: object, root: Mapping[str, object], depth: int) -> object:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "examples"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            return choices[0]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _value(_resolve(reference, root), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            return _value(choices[0], root, depth + 1)
    return _typed(schema, root, depth)


def _typed(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, root, depth)
    if kind == "array":
        count = schema.get("minItems")
        size = count if isinstance(count, int) else 0
        return [_value(schema.get("items"), root, depth + 1)] * size
    if kind in ("integer", "number"):
        return _number(schema)
    return {"boolean": True, "null": None}.get(str(kind), "simulated")


def _object(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> dict[str, object]:
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return {}
    return {str(key): _value(properties.get(key, {}), root, depth + 1) for key in required}


def _number(schema: Mapping[str, object]) -> object:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int | float) and low > 1:
        return low
    if isinstance(high, int | float) and high < 1:
        return high
    return 1


def _resolve(reference: str, root: Mapping[str, object]) -> object:
    """The schema at a local reference such as #/$defs/Point."""
    place: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        place = place.get(step) if isinstance(place, Mapping) else None
    return place
