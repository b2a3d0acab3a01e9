"""Conversations to test with: short ways to write a message, and random conversations."""

from __future__ import annotations

from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2 as chat


def system(text: str, *, pinned: bool = False) -> chat.Message:
    return said(chat.ROLE_SYSTEM, text, pinned=pinned)


def user(text: str, *, pinned: bool = False, name: str = "") -> chat.Message:
    return said(chat.ROLE_USER, text, pinned=pinned, name=name)


def assistant(text: str, *, pinned: bool = False) -> chat.Message:
    return said(chat.ROLE_ASSISTANT, text, pinned=pinned)


def said(role: chat.Role.ValueType, text: str, *, pinned: bool = False, name: str = "") -> chat.Message:
    return chat.Message(role=role, parts=[chat.Part(text=text)], pinned=pinned, name=name)


def calls(*ids: str, arguments: str = "{}", pinned: bool = False) -> chat.Message:
    parts = [chat.Part(tool_call=chat.ToolCall(id=i, name="search", arguments_json=arguments)) for i in ids]
    return chat.Message(role=chat.ROLE_ASSISTANT, parts=parts, pinned=pinned)


def results(*ids: str, text: str = "found", pinned: bool = False) -> chat.Message:
    parts = [chat.Part(tool_result=chat.ToolResult(tool_call_id=i, parts=[chat.Part(text=text)])) for i in ids]
    return chat.Message(role=chat.ROLE_TOOL, parts=parts, pinned=pinned)


def conversation(*messages: chat.Message, tools: int = 0) -> chat.Conversation:
    return chat.Conversation(
        messages=messages,
        tools=[
            chat.Tool(name=f"tool_{n}", description="Finds things.", parameters_json='{"type":"object"}')
            for n in range(tools)
        ],
    )


WORDS = st.sampled_from(
    [
        "",
        "hello",
        "The quick brown fox jumps over the lazy dog. ",
        "def f(x):\n    return x ** 2\n",
        '{"a": [1, 2, 3], "b": null}',
        "你好世界。今天天气很好。",
        "Привет, как дела? ",
        "مرحبا بالعالم ",
        "👩‍👩‍👧‍👦🎉🚀",
        "<|endoftext|>",
        "Größe äöü ",
        "12345678901234567890",
        "=" * 300,
        "x" * 2_500,
        " \t\n" * 40,
    ]
)
TEXTS = st.one_of(
    st.lists(WORDS, max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
)


@st.composite
def turns(draw: st.DrawFn, number: int) -> list[chat.Message]:
    """One turn of a person and what follows: an answer, perhaps after rounds of parallel tool calls."""
    messages = [user(draw(TEXTS), pinned=draw(_RARELY), name=draw(st.sampled_from(["", "", "Ann", "Bob"])))]
    for round_ in range(draw(st.integers(0, 2))):
        ids = [f"call_{number}_{round_}_{n}" for n in range(draw(st.integers(1, 3)))]
        messages.append(calls(*ids, arguments=draw(st.sampled_from(["{}", '{"q": "cats"}'])), pinned=draw(_RARELY)))
        if draw(st.booleans()):
            messages.append(results(*ids, text=draw(TEXTS)))
        else:
            messages += [results(i, text=draw(TEXTS), pinned=draw(_RARELY)) for i in ids]
    if draw(st.integers(0, 9)):
        messages.append(assistant(draw(TEXTS), pinned=draw(_RARELY)))
    return messages


@st.composite
def conversations(draw: st.DrawFn) -> chat.Conversation:
    """A conversation that providers accept: instructions, turns, and a question or an open tool loop at the end."""
    messages = [system(draw(TEXTS)) for _ in range(draw(st.integers(0, 2)))]
    if not draw(st.integers(0, 4)):
        messages.append(assistant("Welcome! How can I help?"))
    for number in range(draw(st.integers(0, 7))):
        messages += draw(turns(number))
    messages.append(user(draw(TEXTS)))
    if draw(st.booleans()):
        messages += [calls("last_a", "last_b"), results("last_a"), results("last_b", text=draw(TEXTS))]
    return conversation(*messages, tools=draw(st.integers(0, 2)))


@st.composite
def nonsense(draw: st.DrawFn) -> chat.Conversation:
    """Messages in any order: orphans, duplicates, calls without results, nobody who asks, no parts at all."""
    ids = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)
    pinned = draw(st.booleans()) and draw(_RARELY)
    one = st.one_of(
        TEXTS.map(system),
        TEXTS.map(lambda text: user(text, pinned=pinned)),
        TEXTS.map(assistant),
        ids.map(lambda chosen: calls(*chosen)),
        ids.map(lambda chosen: results(*chosen, pinned=pinned)),
        st.just(chat.Message(role=chat.ROLE_USER)),
    )
    return conversation(*draw(st.lists(one, min_size=1, max_size=12)))


_RARELY = st.integers(0, 7).map(lambda drawn: drawn == 0)
