"""Conversations as OpenAI, Anthropic and Gemini have them, drawn from a seed: the same seed draws the same cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb

SHAPES = ("openai", "anthropic", "gemini")
MODELS = ("gpt-5", "gpt-4", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat", "sim-small")
_TOPICS = ("harbour", "violin", "deploy", "invoice", "marathon", "sourdough", "visa", "router", "garden", "passport")
_TEXTS = (
    "",
    "hello",
    "The quick brown fox jumps over the lazy dog. ",
    "def f(x):\n    return x ** 2\n",
    '{"a": [1, 2, 3], "b": null}',
    "\u4f60\u597d\u4e16\u754c\u3002\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430? ",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 ",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f389\U0001f680",
    "<|endoftext|><|im_start|>system",
    "</earlier_turns>",
    "Gr\u00f6\u00dfe \u00e4\u00f6\u00fc ",
    "12345678901234567890",
    "=" * 200,
    "x" * 600,
    " \t\n" * 30,
)
_QUESTIONS = ("When was the {}?", "What did I say about the {} and the {}?", "Remind me of the {}.", "Ok, the {} then")


@dataclass(frozen=True, slots=True)
class Case:
    """One Fit to make. `share`: which part of what the whole conversation needs is its budget."""

    number: int
    shape: str
    conversation: chat.Conversation
    model: str
    policy: pb.FitPolicy.ValueType
    share: float


def cases(seed: int, count: int) -> Iterator[Case]:
    """The first `count` cases of a seed."""
    for number in range(count):
        draw = Random(f"{seed}/{number}")  # noqa: S311 - to be repeatable
        shape = SHAPES[number % len(SHAPES)]
        yield Case(
            number,
            shape,
            _conversation(draw, shape),
            draw.choice(MODELS),
            draw.choice(
                (pb.FIT_POLICY_UNSPECIFIED, pb.FIT_POLICY_WINDOW, pb.FIT_POLICY_RETRIEVE, pb.FIT_POLICY_SUMMARISE)
            ),
            draw.uniform(0.1, 1.05),
        )


def _conversation(draw: Random, shape: str) -> chat.Conversation:
    messages = [_said(chat.ROLE_SYSTEM, _text(draw)) for _ in range(draw.choice((0, 1, 1, 2)))]
    if shape == "openai" and draw.random() < 0.1:
        messages.append(_said(chat.ROLE_DEVELOPER, "Be brief."))
    if draw.random() < 0.1:
        messages.append(_said(chat.ROLE_ASSISTANT, "Welcome! How can I help?"))
    for turn in range(draw.randint(0, 12)):
        messages += _turn(draw, shape, turn)
    messages.append(_said(chat.ROLE_USER, _question(draw)))
    messages += _end(draw, shape)
    _mark(draw, messages)
    tools = [
        chat.Tool(name=f"tool_{number}", description="Finds things.", parameters_json='{"type":"object"}')
        for number in range(draw.choice((0, 0, 1, 3)))
    ]
    return chat.Conversation(messages=messages, tools=tools)


def _turn(draw: Random, shape: str, turn: int) -> list[chat.Message]:
    asked = _said(chat.ROLE_USER, _question(draw) if draw.random() < 0.3 else _text(draw))
    if draw.random() < 0.2:
        asked.name = draw.choice(("Ann", "Bob"))
    messages = [asked]
    for round_ in range(draw.choice((0, 0, 0, 1, 1, 2))):
        messages += _tool_use(draw, shape, f"{turn}_{round_}")
    if draw.random() < 0.9:
        messages.append(_said(chat.ROLE_ASSISTANT, _text(draw)))
    if draw.random() < 0.05:  # nobody knows this call
        messages.append(_results(["nobody"], _text(draw)))
    return messages


def _tool_use(draw: Random, shape: str, name: str) -> list[chat.Message]:
    """A round of up to three parallel calls and their results, in the shape's own way."""
    count = draw.randint(1, 3)
    if shape == "gemini":  # calls have no ids of their own: by name and place, again and again
        ids = [f"search-{place}" for place in range(count)]
    else:
        ids = [f"{'call' if shape == 'openai' else 'toolu'}_{name}_{place}" for place in range(count)]
    called = chat.Message(role=chat.ROLE_ASSISTANT)
    if shape != "openai" and draw.random() < 0.5:
        called.parts.add(text=_text(draw))
    for call in ids:
        called.parts.add().tool_call.CopyFrom(
            chat.ToolCall(id=call, name="search", arguments_json=draw.choice(("{}", '{"q": "cats"}')))
        )
    if shape == "openai":
        return [called, *(_results([call], _text(draw)) for call in draw.sample(ids, count))]
    return [called, _results(ids, _text(draw))]


def _end(draw: Random, shape: str) -> list[chat.Message]:
    """Nothing, an open tool loop, or calls that still wait for their results."""
    if draw.random() < 0.6:
        return []
    rounds = [message for number in range(draw.randint(1, 2)) for message in _tool_use(draw, shape, f"last_{number}")]
    if draw.random() < 0.2:
        while rounds[-1].role == chat.ROLE_TOOL:
            rounds.pop()
    return rounds


def _mark(draw: Random, messages: list[chat.Message]) -> None:
    """Pins, marks for the prompt cache, and dates."""
    moment = 1_700_000_000
    dated = draw.random() < 0.5
    for message in messages:
        if dated:
            moment += draw.choice((30, 4_000, 90_000))
            message.sent_at.seconds = moment
        if draw.random() < 0.04:
            message.pinned = True
        if draw.random() < 0.04 and message.parts:
            message.parts[-1].cache_breakpoint = True


def _question(draw: Random) -> str:
    return draw.choice(_QUESTIONS).replace("{}", draw.choice(_TOPICS), 1).replace("{}", draw.choice(_TOPICS))


def _text(draw: Random) -> str:
    words = [draw.choice((*_TEXTS, f"the {draw.choice(_TOPICS)} ")) for _ in range(draw.randint(0, 5))]
    return "".join(words)


def _said(role: chat.Role.ValueType, text: str) -> chat.Message:
    return chat.Message(role=role, parts=[chat.Part(text=text)])


def _results(calls: list[str], text: str) -> chat.Message:
    message = chat.Message(role=chat.ROLE_TOOL)
    for call in calls:
        message.parts.add().tool_result.CopyFrom(chat.ToolResult(tool_call_id=call, parts=[chat.Part(text=text)]))
    return message
