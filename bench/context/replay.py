"""A conversation as it grows: each turn of the first speaker is a request, and in every ten one asks about the past."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np

from bench.context.baseline import Bm25
from bench.context.data import Conversation, Question, message_of, rendered, said
from bench.context.service import MODEL, Context, running, shown
from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.families import family_of
from services.context.ranks import Encodings

Write = Callable[[dict[str, Any]], None]
BUDGET = 4_000
_SYSTEM_TOKENS = 500
_EVERY = 10
_REPLY = "ok"


@dataclass(slots=True)
class History:
    """What was said so far; `ids` are those of turns, "" for what is none."""

    messages: list[chat.Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def add(self, message: chat.Message, name: str = "") -> None:
        """One more message."""
        self.messages.append(message)
        self.ids.append(name)


# The messages to send as rows (role, text, source_ids), for a history whose last message asks.
Policy = Callable[[History], Awaitable[list[dict[str, Any]]]]


async def run_replay(conversations: Sequence[Conversation], questions: Sequence[Question], write: Write) -> None:
    """A row per policy and request."""
    encoding = Encodings().get(family_of(MODEL).encoding)

    def count(text: str) -> int:
        return len(encoding.encode_ordinary(text)) + 4

    system = _instructions(count)
    async with running() as context:
        policies = {
            "shipped": _shipped(context),
            "window": _window(count),
            "retrieve_always": _retrieve_always(count),
        }
        for conversation in conversations:
            mine = [question for question in questions if question.conversation == conversation.id]
            for name, policy in policies.items():
                replayed = Replay(conversation, mine, policy, count)
                await replayed.run(system, partial(_named, write, name))


@dataclass(frozen=True, slots=True)
class Replay:
    """One conversation under one policy."""

    conversation: Conversation
    questions: Sequence[Question]
    policy: Policy
    count: Callable[[str], int]

    async def run(self, system: chat.Message, write: Write) -> None:
        """A row per request."""
        history, waiting, requests = History(), list(self.questions), 0
        history.add(system)
        for turn in self.conversation.turns:
            history.add(message_of(turn, self.conversation), turn.id)
            if turn.speaker != self.conversation.speakers[0]:
                continue
            requests += 1
            write(await self._asked(history, requests, None))
            if requests % _EVERY != _EVERY - 1:
                continue
            past = set(history.ids)
            due = next((q for q in waiting if q.evidence and past.issuperset(q.evidence)), None)
            if due is not None:
                waiting.remove(due)
                history.add(said(due.text))
                requests += 1
                write(await self._asked(history, requests, due.id))
                history.add(said(_REPLY, chat.ROLE_ASSISTANT))

    async def _asked(self, history: History, request: int, question: str | None) -> dict[str, Any]:
        rows = await self.policy(history)
        return {
            "conversation": self.conversation.id,
            "request": request,
            "question": question,
            "messages": [{"sha": _sha(row), "tokens": self.count(row["text"])} for row in rows],
            "kept": [name for row in rows for name in row["source_ids"] if name],
        }


def _shipped(context: Context) -> Policy:
    async def policy(history: History) -> list[dict[str, Any]]:
        response = await context.fit(history.messages, BUDGET)
        while response.degradations:  # vectors are behind by a moment: a replay is faster than people
            response = await context.fit(history.messages, BUDGET)
        return shown(response, history.ids)

    return policy


def _window(count: Callable[[str], int]) -> Policy:
    """The newest messages that fit, filled to the budget at each request."""

    async def policy(history: History) -> list[dict[str, Any]]:
        left = BUDGET - count(rendered(history.messages[0]))
        places: list[int] = []
        for place in range(len(history.messages) - 1, 0, -1):
            left -= count(rendered(history.messages[place]))
            if left < 0:
                break
            places.append(place)
        return [_row(history, place) for place in (0, *reversed(places))]

    return policy


def _retrieve_always(count: Callable[[str], int]) -> Policy:
    """At each request the messages whose words fit best to the last one, in order, before it."""

    async def policy(history: History) -> list[dict[str, Any]]:
        texts = [rendered(message) for message in history.messages]
        past = texts[1:-1]
        left = BUDGET - count(texts[0]) - count(texts[-1])
        pairs = [past[0], *(f"{a}\n{b}" for a, b in pairwise(past))] if past else []
        chosen: list[int] = []
        for place in np.argsort(-Bm25(pairs).scores(texts[-1]), kind="stable").tolist() if past else []:
            cost = count(past[place])
            if cost <= left:
                left -= cost
                chosen.append(place + 1)
        return [_row(history, place) for place in (0, *sorted(chosen), len(texts) - 1)]

    return policy


def _named(write: Write, policy: str, row: dict[str, Any]) -> None:
    write({"policy": policy} | row)


def _sha(row: dict[str, Any]) -> str:
    return sha256(f"{row['role']}\0{row['text']}".encode()).hexdigest()[:16]


def _row(history: History, place: int) -> dict[str, Any]:
    message = history.messages[place]
    role = chat.Role.Name(message.role).removeprefix("ROLE_").lower()
    return {"role": role, "text": rendered(message), "source_ids": [history.ids[place]]}


def _instructions(count: Callable[[str], int]) -> chat.Message:
    """A system prompt of about 500 tokens."""
    text = "You are a friend who listens, remembers and answers."
    while count(text) < _SYSTEM_TOKENS:
        text += " Be kind, be brief, and say so when you do not know."
    return said(text, chat.ROLE_SYSTEM)
