"""What a model says to a request: a pure function of the request, the model and the bank."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from services.simulator.bank import Bank, BankCall, Prompt
from services.simulator.chat_request import ChatRequest, Message, ToolCall
from services.simulator.fleet import Model
from services.simulator.json_sample import sample
from services.simulator.skill import spoken_answer
from services.simulator.tokens import count_text, cut_to_tokens

_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Reply:
    """A text or tool calls; `finish` is OpenAI's finish reason; `tokens` of output where they are not to be counted."""

    text: str
    finish: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    tokens: int | None = None


def answer(request: ChatRequest, model: Model, bank: Bank, room: int) -> Reply:
    """The model's reply; `room` is how many tokens its window has left for the output."""
    asked, after = last_user(request.messages)
    prompt = bank.find(asked)
    calls = _calls_to_make(request, prompt, after)
    if calls:
        return Reply("", "tool_calls", _identified(calls, model, asked, len(request.messages)))
    return cut(_text_reply(request, model, prompt, asked, after), request, room)


def last_user(messages: tuple[Message, ...]) -> tuple[str, tuple[Message, ...]]:
    """The text of the last user message, and the messages after it."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            return "\n".join(messages[index].texts), messages[index + 1 :]
    return "", messages


def _calls_to_make(request: ChatRequest, prompt: Prompt | None, after: tuple[Message, ...]) -> list[BankCall]:
    """The tool calls that come before an answer, or none."""
    if request.tool_choice == "none" or not request.tools:
        return []
    calls = _bank_calls(request, prompt, after)
    has_result = any(message.role == "tool" for message in after)
    if not calls and request.tool_choice == "required" and not has_result:
        wanted = request.forced_tool or request.tools[0].name
        tool = next(tool for tool in request.tools if tool.name == wanted)
        made = sample(tool.parameters) if tool.parameters else {}
        calls = [BankCall(tool.name, json.dumps(made, ensure_ascii=False))]
    return calls if request.is_parallel else calls[:1]


def _bank_calls(request: ChatRequest, prompt: Prompt | None, after: tuple[Message, ...]) -> list[BankCall]:
    """The prompt's own calls that are offered and have no result yet."""
    offered = {tool.name for tool in request.tools}
    if request.forced_tool:
        offered = {request.forced_tool}
    waiting = [call for call in (prompt.calls if prompt else ()) if call.name in offered]
    for made in (call for message in after for call in message.tool_calls):
        # By name alone: a mesh on the way may write the arguments with other white space.
        answered = next((call for call in waiting if call.name == made.name), None)
        if answered is not None:
            waiting.remove(answered)
    return waiting


def _identified(calls: list[BankCall], model: Model, asked: str, turn: int) -> tuple[ToolCall, ...]:
    """The calls with ids that are the same each time, yet differ between calls and turns."""
    made = []
    for number, call in enumerate(calls):
        seed = f"{model.id}\n{asked}\n{turn}\n{number}"
        ident = "call_" + hashlib.sha256(seed.encode()).hexdigest()[:24]
        made.append(ToolCall(ident, call.name, call.arguments))
    return tuple(made)


def _text_reply(
    request: ChatRequest,
    model: Model,
    prompt: Prompt | None,
    asked: str,
    after: tuple[Message, ...],
) -> Reply:
    if prompt is not None:
        if prompt.calls and any(message.role == "tool" for message in after):
            return Reply(prompt.right)
        return Reply(*spoken_answer(model, prompt))
    if request.wants_json:
        made = sample(request.schema) if request.schema else {"simulated": True, "model": model.id}
        return Reply(json.dumps(made, ensure_ascii=False))
    return Reply(_generic(model, asked))


def _generic(model: Model, asked: str) -> str:
    """An answer to a prompt that is not in the bank; it says what it is."""
    quoted = " ".join(asked.split())[:_QUOTED]
    # The mark keeps apart long prompts that begin alike.
    mark = hashlib.sha256(asked.encode()).hexdigest()[:6]
    return (
        f"This is a simulated answer in the name of {model.id}; no real model was asked. "
        f'You wrote: "{quoted}" (prompt {mark}). '
        "Set an API key, for example OPENAI_API_KEY, to get real answers."
    )


def cut(reply: Reply, request: ChatRequest, room: int) -> Reply:
    """Apply stop texts, then the limit of output tokens."""
    stops = [place for stop in request.stop if (place := reply.text.find(stop)) >= 0]
    if stops:
        reply = replace(reply, text=reply.text[: min(stops)], finish="stop", tokens=None)
    limit = room if request.max_tokens is None else min(room, request.max_tokens)
    if count_text(reply.text) > limit:
        return replace(reply, text=cut_to_tokens(reply.text, limit), finish="length", tokens=None)
    return reply
