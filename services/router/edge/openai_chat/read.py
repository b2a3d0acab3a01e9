"""The JSON of a chat completion request to our contract: everything but the messages."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import Reading, name_model, wants_decision
from services.router.edge.errors import wrong
from services.router.edge.openai import (
    CHOICES,
    EFFORTS,
    USUAL_VERBOSITY,
    VERBOSITIES,
    read_form,
    read_function,
    read_parallel,
    stream_options,
)
from services.router.edge.openai_chat import parameters
from services.router.edge.openai_chat.messages import read_messages
from services.router.edge.values import Json, array, compact, flag, integer, number, table, text, word

_PENALTIES = ("frequency_penalty", "presence_penalty")
_LIMITS = ("max_completion_tokens", "max_tokens")
_STREAM_OPTIONS = ("include_usage", "include_obfuscation")


def request(document: Json) -> Reading:
    """The request. Raises Refused with the parameter that is wrong."""
    parameters.check(document)
    out = pb.CompleteRequest()
    name_model(out, document.get("model"))
    conversation = out.conversation
    read_messages(document.get("messages"), conversation)
    _tools(document, conversation)
    if (form := document.get("response_format")) is not None:
        read_form(table(form, "response_format"), conversation.response_format, "response_format", "json_schema")
    _sampling(document, conversation.sampling)
    _vendor_options(document, conversation)
    stream = flag(document.get("stream"), "stream")
    options = stream_options(document, _STREAM_OPTIONS, stream=stream)
    include_usage = flag(options.get("include_usage"), "stream_options.include_usage")
    return Reading(out, stream, include_usage, wants_decision(document.get("omnisphere")))


def _tools(document: Json, conversation: chat_pb2.Conversation) -> None:
    for at, row in enumerate(array(document.get("tools") or [], "tools")):
        path = f"tools[{at}]"
        kind = table(row, path).get("type")
        if kind != "function":
            raise wrong(f"{path}.type", "must be function")
        path = f"{path}.function"
        read_function(table(row.get("function"), path), conversation, path)
    choice = document.get("tool_choice")
    if isinstance(choice, str) and choice in CHOICES:
        conversation.tool_choice.mode = CHOICES[choice]
    elif isinstance(choice, dict) and choice.get("type") == "function":
        function = table(choice.get("function"), "tool_choice.function")
        conversation.tool_choice.mode = chat_pb2.ToolChoice.MODE_NAMED
        conversation.tool_choice.name = text(function.get("name"), "tool_choice.function.name")
    elif choice is not None:
        raise wrong("tool_choice", "is not auto, none, required or a function")
    read_parallel(document, conversation.tool_choice)


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
        sampling.reasoning_effort = EFFORTS[word(effort, EFFORTS, "reasoning_effort")]


def _vendor_options(document: Json, conversation: chat_pb2.Conversation) -> None:
    """What our contract has not, and providers of this very format have: it travels as it is. What happens anyway does
    not: penalties of 0, a medium verbosity."""
    options: Json = {name: number(document[name], name) for name in _PENALTIES if document.get(name)}
    for name, value in options.items():
        if not -2 <= value <= 2:
            raise wrong(name, "is not -2 to 2")
    verbosity = document.get("verbosity")
    if verbosity is not None and word(verbosity, VERBOSITIES, "verbosity") != USUAL_VERBOSITY:
        options["verbosity"] = verbosity
    if options:
        conversation.vendor_options_json = compact(options, "frequency_penalty")
