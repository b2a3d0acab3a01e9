"""The JSON of a chat completion request to our contract: everything but the messages."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import Reading, name_model, wants_decision
from services.router.edge.errors import wrong
from services.router.edge.openai_chat import parameters
from services.router.edge.openai_chat.messages import read_messages
from services.router.edge.values import Json, array, compact, flag, integer, number, table, text, word

_CHOICES = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
}
_EFFORTS = {
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "minimal": chat_pb2.REASONING_EFFORT_LOW,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
    "xhigh": chat_pb2.REASONING_EFFORT_HIGH,
}
_PENALTIES = ("frequency_penalty", "presence_penalty")
_USUAL_VERBOSITY = "medium"
_VERBOSITIES = ("low", _USUAL_VERBOSITY, "high")
_LIMITS = ("max_completion_tokens", "max_tokens")


def request(document: Json) -> Reading:
    """The request. Raises Refused with the parameter that is wrong."""
    parameters.check(document)
    out = pb.CompleteRequest()
    name_model(out, document.get("model"))
    conversation = out.conversation
    read_messages(document.get("messages"), conversation)
    _tools(document, conversation)
    _response_format(document.get("response_format"), conversation.response_format)
    _sampling(document, conversation.sampling)
    _vendor_options(document, conversation)
    stream = flag(document.get("stream"), "stream")
    return Reading(out, stream, _include_usage(document, stream=stream), wants_decision(document.get("omnisphere")))


def _tools(document: Json, conversation: chat_pb2.Conversation) -> None:
    for at, row in enumerate(array(document.get("tools") or [], "tools")):
        path = f"tools[{at}]"
        kind = table(row, path).get("type")
        if kind != "function":
            raise wrong(f"{path}.type", "must be function")
        function = table(row.get("function"), f"{path}.function")
        tool = conversation.tools.add(
            name=text(function.get("name"), f"{path}.function.name"),
            description=text(function.get("description") or "", f"{path}.function.description"),
            strict=flag(function.get("strict"), f"{path}.function.strict"),
        )
        if function.get("parameters") is not None:
            tool.parameters_json = _schema(function["parameters"], f"{path}.function.parameters")
    choice = document.get("tool_choice")
    if isinstance(choice, str) and choice in _CHOICES:
        conversation.tool_choice.mode = _CHOICES[choice]
    elif isinstance(choice, dict) and choice.get("type") == "function":
        function = table(choice.get("function"), "tool_choice.function")
        conversation.tool_choice.mode = chat_pb2.ToolChoice.MODE_NAMED
        conversation.tool_choice.name = text(function.get("name"), "tool_choice.function.name")
    elif choice is not None:
        raise wrong("tool_choice", "is not auto, none, required or a function")
    parallel = document.get("parallel_tool_calls")
    if parallel is not None and not flag(parallel, "parallel_tool_calls"):
        conversation.tool_choice.disable_parallel = True


def _response_format(value: object, form: chat_pb2.ResponseFormat) -> None:
    if value is None:
        return
    kind = table(value, "response_format").get("type")
    if kind == "text":
        form.kind = chat_pb2.ResponseFormat.KIND_TEXT
    elif kind == "json_object":
        form.kind = chat_pb2.ResponseFormat.KIND_JSON_OBJECT
    elif kind == "json_schema":
        path = "response_format.json_schema"
        schema = table(table(value, "response_format").get("json_schema"), path)
        form.kind = chat_pb2.ResponseFormat.KIND_JSON_SCHEMA
        form.name = text(schema.get("name"), f"{path}.name")
        form.schema_json = _schema(schema.get("schema"), f"{path}.schema")
        form.strict = flag(schema.get("strict"), f"{path}.strict")
    else:
        raise wrong("response_format.type", "is not text, json_object or json_schema")


def _schema(value: object, path: str) -> str:
    return compact(table(value, path), path)


def _sampling(document: Json, sampling: chat_pb2.Sampling) -> None:
    if (temperature := document.get("temperature")) is not None:
        sampling.temperature = number(temperature, "temperature")
    if (top_p := document.get("top_p")) is not None:
        sampling.top_p = number(top_p, "top_p")
    if (seed := document.get("seed")) is not None:
        sampling.seed = integer(seed, "seed")
    limits = [integer(document[name], name) for name in _LIMITS if document.get(name) is not None]
    if len(set(limits)) > 1:
        raise wrong("max_tokens", "says something else than max_completion_tokens")
    if limits:
        sampling.max_output_tokens = limits[0]
    stop = document.get("stop")
    if isinstance(stop, str):
        sampling.stop.append(stop)
    elif stop is not None:
        sampling.stop.extend(text(one, f"stop[{at}]") for at, one in enumerate(array(stop, "stop")))
    effort = document.get("reasoning_effort")
    if effort is not None:
        sampling.reasoning_effort = _EFFORTS[word(effort, _EFFORTS, "reasoning_effort")]


def _vendor_options(document: Json, conversation: chat_pb2.Conversation) -> None:
    """What our contract has not, and providers of this very format have: it travels as it is. What happens anyway does
    not: penalties of 0, a medium verbosity."""
    options: Json = {name: number(document[name], name) for name in _PENALTIES if document.get(name)}
    for name, value in options.items():
        if not -2 <= value <= 2:
            raise wrong(name, "is not -2 to 2")
    verbosity = document.get("verbosity")
    if verbosity is not None and word(verbosity, _VERBOSITIES, "verbosity") != _USUAL_VERBOSITY:
        options["verbosity"] = verbosity
    if options:
        conversation.vendor_options_json = compact(options, "frequency_penalty")


def _include_usage(document: Json, *, stream: bool) -> bool:
    options = document.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise wrong("stream_options", "goes together with stream only")
    for name in table(options, "stream_options"):
        if name not in ("include_usage", "include_obfuscation"):
            raise wrong(f"stream_options.{name[:64]}", "is not a known parameter", "unknown_parameter")
    return flag(table(options, "stream_options").get("include_usage"), "stream_options.include_usage")
