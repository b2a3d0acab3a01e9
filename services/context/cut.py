"""What becomes of a conversation that does not fit: its window, and what the question fetches from beyond it.

Runs in a thread: it searches and, where vectors are missing, embeds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.known import Known, chain
from services.context.need import asked_part
from services.context.retrieve import Fetched, Parts, Ruler, fetch
from services.context.tokens import Counted, TokenCounter
from services.context.turns import text_of
from services.context.units import Kind, Unit
from services.context.vectors import Vectors
from services.context.window import Window, cut

# More new turns than these are embedded behind the answer.
_MOST_ON_THE_SPOT = 16
_WITHOUT_FETCH = (pb.FIT_POLICY_WINDOW, pb.FIT_POLICY_SUMMARISE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One Fit as cutting sees it. `policy`: the one that holds; `room`: tokens for messages."""

    request: pb.FitRequest
    policy: pb.FitPolicy.ValueType
    tenant: str
    counted: Counted
    units: Sequence[Unit]
    sizes: Sequence[int]
    room: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What stays and what was fetched.

    `links`: the hash of every start of the conversation. `unembedded`: texts whose vectors are still to be made.
    `by_words_alone`: the fetch had to do without vectors. `search_failed`: there was none.
    """

    fetched: Fetched
    links: Sequence[bytes]
    unembedded: Sequence[str] = ()
    by_words_alone: bool = False
    search_failed: bool = False


class Cutter:
    """Cuts conversations. Threads may share it."""

    def __init__(self, counter: TokenCounter, known: Known, vectors: Vectors) -> None:
        self._counter = counter
        self._known = known
        self._vectors = vectors

    def cut(self, asked: Asked) -> Cut:
        """The window; with the policy RETRIEVE also the block of what the question needs."""
        links = chain(asked.tenant, asked.counted.digests)
        window = cut(asked.units, asked.sizes, asked.room)
        plain = Cut(Fetched(window), links)
        if asked.policy in _WITHOUT_FETCH or window.whole or window.used > asked.room:
            return plain
        closed = asked.units[: window.anchor]
        question = question_of(asked.units[window.anchor], asked.request.conversation.messages)
        if not closed or not question:
            return plain
        try:
            return self._retrieved(asked, window, closed, question, links)
        except sqlite3.Error:  # for example a SQLite without FTS5: the window is valid all the same
            return Cut(Fetched(window), links, search_failed=True)

    def _retrieved(
        self, asked: Asked, window: Window, closed: Sequence[Unit], question: str, links: Sequence[bytes]
    ) -> Cut:
        index = self._known.take(closed, asked.request.conversation.messages, links)
        asks = bool(asked_part(question))
        unembedded = self._vectors.fill(index, make=_MOST_ON_THE_SPOT if asks else 0)
        if not asks:
            self._known.put(closed, links, index)
            return Cut(Fetched(window), links, unembedded)
        vector = None if unembedded else self._vectors.make(question)
        found = index.find(question, vector)
        ruler = self._counter.ruler(asked.request.model, asked.request.wire_format)
        measures = Ruler(
            text=lambda text: ruler.text(text).upper_bound,
            message=ruler.message,
        )
        warm = sum(asked.sizes[place] for place in window.before)
        parts = Parts(asked.units, asked.sizes, asked.room, question, warm)
        fetched = fetch(parts, window, index, found, measures)
        self._known.put(closed, links, index)
        return Cut(fetched, links, unembedded, by_words_alone=vector is None)


def question_of(unit: Unit, messages: Sequence[chat.Message]) -> str:
    """The text of a unit that asks; "" where nobody does."""
    return text_of(messages[unit.first]) if unit.kind is Kind.QUESTION else ""
