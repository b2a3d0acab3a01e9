"""The JSON of a Responses request to our contract: everything but the input and the tools."""

from __future__ import annotations

import orjson

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import Reading, name_model, wants_decision
from services.router.edge.errors import wrong
from services.router.edge.openai import EFFORTS, USUAL_VERBOSITY, VERBOSITIES, read_form, stream_options
from services.router.edge.openai_responses import parameters
from services.router.edge.openai_responses.messages import Input
from services.router.edge.openai_responses.tools import read_tools
from services.router.edge.values import Json, array, compact, flag, integer, number, table, text, word

_EFFORTS = EFFORTS | {"max": chat_pb2.REASONING_EFFORT_HIGH}
_SUMMARIES = ("auto", "concise", "detailed")
_STREAM_OPTIONS = ("include_obfuscation",)
_TRUNCATIONS = ("auto", "disabled")
# What `include` may ask for: the first comes anyway, the others are of tools that are not served, or of the request.
_INCLUDABLE = frozenset(
    {
        "reasoning.encrypted_content",
        *("file_search_call.results", "web_search_call.results", "web_search_call.action.sources"),
        *("computer_call_output.output.image_url", "code_interpreter_call.outputs", "message.input_image.image_url"),
    }
)
# Of `reasoning`, what asks for what happens anyway: all thoughts that the caller sends go to the model.
_HARMLESS = {"context": ("auto", "all_turns"), "mode": ("standard",)}
_WORDS = ("user", "safety_identifier", "prompt_cache_key")


def request(document: Json) -> Reading:
    """The request. Raises Refused with the parameter that is wrong."""
    parameters.check(document)
    out = pb.CompleteRequest()
    name_model(out, document.get("model"))
    conversation = out.conversation
    Input(conversation, out.model).read(document)
    read_tools(document, conversation)
    _sampling(document, conversation.sampling)
    hints = _reasoning(document, conversation.sampling) | _text(document, conversation.response_format)
    if hints:
        conversation.vendor_options_json = compact(hints, "reasoning")
    _rest(document)
    stream = flag(document.get("stream"), "stream")
    for name, value in stream_options(document, _STREAM_OPTIONS, stream=stream).items():  # nothing is padded anyway
        flag(value, f"stream_options.{name}")
    return Reading(out, stream, wants_decision=wants_decision(document.get("omnisphere")), echo=_echo(document))


def _sampling(document: Json, sampling: chat_pb2.Sampling) -> None:
    if (temperature := document.get("temperature")) is not None:
        sampling.temperature = number(temperature, "temperature")
    if (top_p := document.get("top_p")) is not None:
        sampling.top_p = number(top_p, "top_p")
    if (limit := document.get("max_output_tokens")) is not None:
        sampling.max_output_tokens = integer(limit, "max_output_tokens")


def _reasoning(document: Json, sampling: chat_pb2.Sampling) -> Json:
    """The effort; and what our contract has no word for, as providers of this very format want it."""
    said = table(document.get("reasoning") or {}, "reasoning")
    hints: Json = {}
    for name, value in said.items():
        path = f"reasoning.{name[:64]}"
        if value is None:
            continue
        if name == "effort":
            sampling.reasoning_effort = _EFFORTS[word(value, _EFFORTS, path)]
        elif name in ("summary", "generate_summary"):
            hints = {"reasoning": {"summary": word(value, _SUMMARIES, path)}}
        elif name not in _HARMLESS:
            raise wrong(path, "is not a known parameter", "unknown_parameter")
        elif value not in _HARMLESS[name]:
            raise wrong(path, "is not supported", "unsupported_parameter")
    return hints


def _text(document: Json, form: chat_pb2.ResponseFormat) -> Json:
    """The form of the answer; and how wordy it is, as above. A medium answer is what comes anyway."""
    said = table(document.get("text") or {}, "text")
    for name in said:
        if name not in ("format", "verbosity"):
            raise wrong(f"text.{name[:64]}", "is not a known parameter", "unknown_parameter")
    if said.get("format") is not None:
        read_form(table(said["format"], "text.format"), form, "text.format")
    if said.get("verbosity") is None:
        return {}
    verbosity = word(said["verbosity"], VERBOSITIES, "text.verbosity")
    return {} if verbosity == USUAL_VERBOSITY else {"text": {"verbosity": verbosity}}


def _rest(document: Json) -> None:
    """What changes nothing about the answer, and must make sense where the answer repeats it."""
    for at, one in enumerate(array(document.get("include") or [], "include")):
        if one == "message.output_text.logprobs":
            problem = "message.output_text.logprobs is not supported: no model's log probabilities are passed on"
            raise wrong(f"include[{at}]", problem, "unsupported_parameter")
        if not isinstance(one, str) or one not in _INCLUDABLE:
            raise wrong(f"include[{at}]", "is not a known value")
    for name, value in table(document.get("metadata") or {}, "metadata").items():
        text(value, f"metadata.{name[:64]}")
    if document.get("truncation") is not None:
        word(document["truncation"], _TRUNCATIONS, "truncation")
    for name in _WORDS:
        if document.get(name) is not None:
            text(document[name], name)


def _echo(document: Json) -> Json:
    """What a response repeats; where the caller said nothing, what happened. What may be deep is text already."""
    said = {name: document.get(name) for name in ("instructions", "temperature", "top_p", "max_output_tokens", *_WORDS)}
    reasoning, form = document.get("reasoning") or {}, document.get("text") or {}
    tools = [{"description": None, "parameters": None, "strict": False} | tool for tool in document.get("tools") or []]
    written = {"format": form.get("format") or {"type": "text"}, "verbosity": form.get("verbosity") or USUAL_VERBOSITY}
    choice = document.get("tool_choice") or "auto"
    summary = reasoning.get("summary") or reasoning.get("generate_summary")
    return said | {
        "background": False,
        "metadata": document.get("metadata") or {},
        "parallel_tool_calls": document.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": summary},
        "store": False,
        "text": orjson.Fragment(compact(written, "text")),
        "tool_choice": choice if isinstance(choice, str) else orjson.Fragment(compact(choice, "tool_choice")),
        "tools": orjson.Fragment(compact(tools, "tools")),
        "truncation": document.get("truncation") or "auto",
    }
