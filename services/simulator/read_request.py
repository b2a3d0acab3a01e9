"""Read and check the JSON body of a chat completion request."""

from __future__ import annotations

import json
from collections.abc import Mapping

from services.simulator.api_error import invalid
from services.simulator.chat_request import ChatRequest, Tool
from services.simulator.read_messages import read_messages

_CHOICES = frozenset({"auto", "none", "required"})
_MOST_STOPS = 4
_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}


def parse_json(raw: bytes) -> dict[str, object]:
    """The body as an object, or Refused."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid("We could not parse the JSON body of your request.") from None
    if not isinstance(document, dict):
        raise invalid("The JSON body of your request must be an object.")
    return document


def named_model(document: Mapping[str, object]) -> str:
    """The model that the body asks for, or Refused."""
    name = document.get("model")
    if not isinstance(name, str) or not name:
        raise invalid("you must provide a model parameter", "model")
    return name


def read_request(document: Mapping[str, object]) -> ChatRequest:
    """The request, or Refused with the first parameter that is wrong."""
    _check_numbers(document)
    tools = _tools(document.get("tools"))
    choice, forced = _tool_choice(document.get("tool_choice"), tools)
    wants_json, schema = _response_format(document.get("response_format"))
    tools_json = document.get("tools")
    return ChatRequest(
        model=named_model(document),
        messages=read_messages(document.get("messages")),
        tools=tools,
        tools_json=tuple(tools_json) if isinstance(tools_json, list) else (),
        tool_choice=choice,
        forced_tool=forced,
        is_parallel=_flag(document, "parallel_tool_calls", default=True),
        wants_json=wants_json,
        schema=schema,
        max_tokens=_max_tokens(document),
        stop=_stop(document.get("stop")),
        is_stream=_flag(document, "stream", default=False),
        wants_usage=_wants_usage(document),
    )


def _check_numbers(document: Mapping[str, object]) -> None:
    for key, (low, high) in _RANGES.items():
        value = document.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(f"Invalid type for '{key}': expected a number.", key, "invalid_type")
        if not low <= value <= high:
            problem = f"expected a value from {low:g} to {high:g}, but got {value} instead"
            raise invalid(f"Invalid '{key}': {problem}.", key, "decimal_out_of_range")
    if document.get("n") not in (None, 1):
        raise invalid("The simulator answers with one choice: 'n' must be 1.", "n")


def _flag(document: Mapping[str, object], key: str, *, default: bool) -> bool:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"Invalid type for '{key}': expected a boolean.", key, "invalid_type")
    return value


def _max_tokens(document: Mapping[str, object]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = document.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(f"Invalid type for '{key}': expected an integer.", key, "invalid_type")
        if value < 1:
            problem = f"expected a value >= 1, but got {value} instead"
            raise invalid(f"Invalid '{key}': {problem}.", key, "integer_below_min_value")
        return value
    return None


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or len(texts) > _MOST_STOPS:
        raise invalid(f"'stop' must be a string or at most {_MOST_STOPS} strings.", "stop")
    stops = tuple(text for text in texts if isinstance(text, str) and text)
    if len(stops) != len(texts):
        raise invalid("Each of 'stop' must be a non-empty string.", "stop")
    return stops


def _wants_usage(document: Mapping[str, object]) -> bool:
    options = document.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, Mapping):
        raise invalid("'stream_options' must be an object.", "stream_options")
    if not document.get("stream"):
        problem = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(problem, "stream_options")
    return _flag(options, "include_usage", default=False)


def _tools(value: object) -> tuple[Tool, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise invalid("[] is too short - 'tools'", "tools", "empty_array")
    return tuple(_tool(row, f"tools[{number}]") for number, row in enumerate(value))


def _tool(row: object, where: str) -> Tool:
    if not isinstance(row, Mapping) or row.get("type") != "function":
        raise invalid(f"Invalid value for '{where}.type': expected 'function'.", f"{where}.type")
    function = row.get("function")
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
        key = f"{where}.function.name"
        raise invalid(f"Missing required parameter: '{key}'.", key)
    parameters = function.get("parameters", {})
    if not isinstance(parameters, Mapping):
        key = f"{where}.function.parameters"
        raise invalid(f"Invalid type for '{key}': expected an object.", key, "invalid_type")
    return Tool(name, parameters)


def _tool_choice(value: object, tools: tuple[Tool, ...]) -> tuple[str, str | None]:
    """The choice, and the one function that must be called."""
    if value is None:
        return "auto", None
    if not tools:
        problem = "'tool_choice' is only allowed when 'tools' are specified."
        raise invalid(f"Invalid value for 'tool_choice': {problem}", "tool_choice")
    if isinstance(value, str) and value in _CHOICES:
        return value, None
    function = value.get("function") if isinstance(value, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str):
        raise invalid(f"Invalid value for 'tool_choice': {value!r}.", "tool_choice")
    if name not in {tool.name for tool in tools}:
        problem = f"Tool choice '{name}' not found in 'tools' parameter."
        raise invalid(problem, "tool_choice")
    return "required", name


def _response_format(value: object) -> tuple[bool, Mapping[str, object] | None]:
    """Whether JSON is wanted, and by which schema."""
    if value is None:
        return False, None
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or kind not in ("text", "json_object", "json_schema"):
        raise invalid("Invalid value for 'response_format.type'.", "response_format.type")
    if kind != "json_schema":
        return kind == "json_object", None
    wrapper = value.get("json_schema")
    schema = wrapper.get("schema") if isinstance(wrapper, Mapping) else None
    if not isinstance(schema, Mapping):
        key = "response_format.json_schema.schema"
        raise invalid(f"Missing required parameter: '{key}'.", key)
    return True, schema
