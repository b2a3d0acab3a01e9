"""The JSON of a Messages request to our contract: everything but the messages."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.anthropic_messages import parameters
from services.router.edge.anthropic_messages.messages import read_messages, read_system
from services.router.edge.dialect import Reading, name_model, wants_decision
from services.router.edge.errors import wrong
from services.router.edge.values import Json, array, compact, flag, integer, number, table, text, word

_CHOICES = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "any": chat_pb2.ToolChoice.MODE_REQUIRED,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "tool": chat_pb2.ToolChoice.MODE_NAMED,
}
_EFFORTS = {
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
    "xhigh": chat_pb2.REASONING_EFFORT_HIGH,
    "max": chat_pb2.REASONING_EFFORT_HIGH,
}
# Budgets of thinking below these many tokens are few, or some, thoughts.
_FEW, _SOME = 4_096, 16_384
# Our contract names a schema; this format does not.
_SCHEMA_NAME = "answer"


def request(document: Json) -> Reading:
    """The request. Raises Refused with the parameter that is wrong."""
    parameters.check(document)
    out = pb.CompleteRequest()
    name_model(out, document.get("model"))
    model = out.model
    read_system(document.get("system"), out.conversation)
    read_messages(document.get("messages"), out.conversation, model)
    _tools(document, out.conversation)
    _sampling(document, out.conversation.sampling)
    _output(document, out.conversation)
    stream = flag(document.get("stream"), "stream")
    return Reading(out, stream, wants_decision=wants_decision(document.get("omnisphere")))


def _tools(document: Json, conversation: chat_pb2.Conversation) -> None:
    for at, row in enumerate(array(document.get("tools") or [], "tools")):
        path = f"tools[{at}]"
        if table(row, path).get("type", "custom") not in ("custom", None):
            raise wrong(f"{path}.type", "is a tool of the provider's own, which is not supported")
        conversation.tools.add(
            name=text(row.get("name"), f"{path}.name"),
            description=text(row.get("description") or "", f"{path}.description"),
            parameters_json=_schema(row.get("input_schema"), f"{path}.input_schema"),
            strict=flag(row.get("strict"), f"{path}.strict"),
        )
    choice = document.get("tool_choice")
    if choice is None:
        return
    kind = word(table(choice, "tool_choice").get("type"), _CHOICES, "tool_choice.type")
    conversation.tool_choice.mode = _CHOICES[kind]
    if kind == "tool":
        conversation.tool_choice.name = text(choice.get("name"), "tool_choice.name")
    path = "tool_choice.disable_parallel_tool_use"
    conversation.tool_choice.disable_parallel = flag(choice.get("disable_parallel_tool_use"), path)


def _schema(value: object, path: str) -> str:
    return compact(table(value, path), path)


def _sampling(document: Json, sampling: chat_pb2.Sampling) -> None:
    sampling.max_output_tokens = integer(document.get("max_tokens"), "max_tokens")
    if (temperature := document.get("temperature")) is not None:
        sampling.temperature = number(temperature, "temperature")
    if (top_p := document.get("top_p")) is not None:
        sampling.top_p = number(top_p, "top_p")
    stops = array(document.get("stop_sequences") or [], "stop_sequences")
    sampling.stop.extend(text(one, f"stop_sequences[{at}]") for at, one in enumerate(stops))
    thinking = document.get("thinking")
    if thinking is None:
        return
    match table(thinking, "thinking").get("type"):
        case "disabled":
            sampling.reasoning_effort = chat_pb2.REASONING_EFFORT_NONE
        case "enabled" if thinking.get("budget_tokens") is not None:
            budget = integer(thinking.get("budget_tokens"), "thinking.budget_tokens")
            sampling.reasoning_effort = (
                chat_pb2.REASONING_EFFORT_LOW
                if budget < _FEW
                else chat_pb2.REASONING_EFFORT_MEDIUM
                if budget < _SOME
                else chat_pb2.REASONING_EFFORT_HIGH
            )
        case "enabled" | "adaptive" | "between_tools":
            pass  # the model decides, as it does when nothing is said
        case _:
            raise wrong("thinking.type", "is not enabled, disabled, adaptive or between_tools")


def _output(document: Json, conversation: chat_pb2.Conversation) -> None:
    """The form of the answer and the effort; `output_format` is the older name of the form."""
    config = table(document.get("output_config") or {}, "output_config")
    for name in config:
        if name not in ("format", "effort"):
            raise wrong(f"output_config.{name[:64]}", "is not a known parameter", "unknown_parameter")
    if (effort := config.get("effort")) is not None:
        conversation.sampling.reasoning_effort = _EFFORTS[word(effort, _EFFORTS, "output_config.effort")]
    path = "output_config.format" if config.get("format") is not None else "output_format"
    form = config.get("format") or document.get("output_format")
    if form is None:
        return
    if table(form, path).get("type") != "json_schema":
        raise wrong(f"{path}.type", "is not json_schema")
    conversation.response_format.kind = chat_pb2.ResponseFormat.KIND_JSON_SCHEMA
    conversation.response_format.name = _SCHEMA_NAME
    conversation.response_format.schema_json = _schema(form.get("schema"), f"{path}.schema")
    conversation.response_format.strict = True
