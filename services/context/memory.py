"""The journeys of Remember, Recall and Forget: items per tenant and conversation, found by words and by meaning."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.clock import Clock
from services.chassis.errors import PeerUnavailable
from services.chassis.executor import Executor
from services.context.rank import ranked
from services.context.search import TurnIndex
from services.context.store import Store, StoreFailed, Value
from services.context.turns import Turn
from services.context.vectors import Background, Vectors

DEFAULT_LIMIT = 10
# Of one conversation, and of a tenant's items for all of them; the oldest go.
_MOST_ITEMS = 10_000
_MOST_INDEXES = 256
_MOST_ON_THE_SPOT = 16
# A cosine from which on an item without a word in common answers a query.
_RELATED = 0.3
_PUT = "INSERT INTO items (id, tenant, conversation, text, tags, at, expires) VALUES (?, ?, ?, ?, ?, ?, ?)"
_DROP_OVER = "DELETE FROM items WHERE expires <= ?"
_DROP_OLDEST = """DELETE FROM items WHERE tenant = ? AND conversation = ? AND number <= (
    SELECT number FROM items WHERE tenant = ? AND conversation = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"""
_OF = """SELECT id, text, tags, at, expires FROM items
    WHERE tenant = ? AND conversation = ? AND (expires IS NULL OR expires > ?) ORDER BY number"""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is kept. `expires` is in seconds since 1970; None: never."""

    id: str
    text: str
    tags: tuple[str, ...]
    at: float
    expires: float | None

    def as_message(self, score: float) -> pb.MemoryItem:
        """As the contract says it."""
        message = pb.MemoryItem(id=self.id, text=self.text, tags=self.tags, score=score)
        message.remembered_at.FromNanoseconds(int(self.at * 1e9))
        return message

    def is_over(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now

    @property
    def turn(self) -> Turn:
        """As search sees it."""
        moment = datetime.fromtimestamp(self.at, UTC)
        return Turn("", self.text, f"{moment.day} {moment:%B} {moment.year}")


@dataclass(frozen=True, slots=True)
class Recalled:
    """What answers a query, best first. `degraded`: what could not be done as asked; UNSPECIFIED: nothing."""

    items: Sequence[tuple[Item, float]]
    degraded: chat.Degradation.Kind.ValueType = chat.Degradation.KIND_UNSPECIFIED


class Memory:
    """Keeps and finds items. Nothing of one tenant is in an index of another."""

    def __init__(
        self, store: Store, executor: Executor, vectors: Vectors, background: Background, clock: Clock
    ) -> None:
        self._store = store
        self._executor = executor
        self._vectors = vectors
        self._background = background
        self._clock = clock
        # Items and their index, by tenant and conversation; taken out while a thread uses it.
        self._loaded: OrderedDict[tuple[str, str], tuple[list[Item], TurnIndex]] = OrderedDict()
        self._changes = 0

    async def remember(self, tenant: str, request: pb.RememberRequest) -> pb.RememberResponse:
        """Keep the items. Raises PeerUnavailable where they cannot be written."""
        now = self._clock.wall()
        ends = now + request.ttl.ToTimedelta().total_seconds() if request.HasField("ttl") else None
        ids = [f"mem-{secrets.token_hex(12)}" for _ in request.items]
        rows: list[tuple[Value, ...]] = [
            (id_, tenant, request.conversation_id, item.text, json.dumps(list(item.tags)), now, ends)
            for id_, item in zip(ids, request.items, strict=True)
        ]
        of = (tenant, request.conversation_id)
        await self._written((_PUT, rows), (_DROP_OVER, [(now,)]), (_DROP_OLDEST, [(*of, *of, _MOST_ITEMS)]))
        self._forget_loaded(tenant)
        return pb.RememberResponse(ids=ids)

    async def forget(self, tenant: str, request: pb.ForgetRequest) -> pb.ForgetResponse:
        """Forget what matches every field that is set. Raises PeerUnavailable where the file is away."""
        where, values = ["tenant = ?"], [tenant]
        if request.conversation_id:
            where.append("conversation = ?")
            values.append(request.conversation_id)
        if request.ids:
            where.append(f"id IN ({', '.join('?' * len(request.ids))})")
            values.extend(request.ids)
        if request.tag:
            where.append("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)")
            values.append(request.tag)
        count = await self._written((f"DELETE FROM items WHERE {' AND '.join(where)}", [values]))  # noqa: S608
        self._forget_loaded(tenant)
        return pb.ForgetResponse(items=count)

    async def recall(self, tenant: str, conversation: str, query: str, limit: int) -> Recalled:
        """The items of the conversation and of all the tenant's conversations that answer the query."""
        found: list[tuple[Item, float]] = []
        degraded = chat.Degradation.KIND_UNSPECIFIED
        for scope in dict.fromkeys((conversation, "")):
            try:
                some, unembedded = await self._executor.run(self._searched, (tenant, scope), query)
            except StoreFailed:
                return Recalled((), chat.Degradation.KIND_MEMORY_UNAVAILABLE)
            if unembedded:
                self._background.add(unembedded)
                degraded = chat.Degradation.KIND_DENSE_PENDING
            found += some
        found.sort(key=lambda pair: -pair[1])
        return Recalled(found[:limit], degraded)

    def _forget_loaded(self, tenant: str) -> None:
        """What is in use by a thread right now is not put back, either."""
        self._changes += 1
        for key in [key for key in list(self._loaded) if key[0] == tenant]:
            found = self._loaded.pop(key, None)
            if found is not None:
                found[1].close()

    async def _written(self, *statements: tuple[str, Sequence[Sequence[Value]]]) -> int:
        try:
            return await self._executor.run(self._store.write, *statements)
        except StoreFailed as failure:
            raise PeerUnavailable(peer="memory") from failure

    def _searched(self, key: tuple[str, str], query: str) -> tuple[list[tuple[Item, float]], list[str]]:
        """(items with their scores, texts without a vector)."""
        changes = self._changes
        loaded = self._loaded.pop(key, None) or self._load(key)
        items, index = loaded
        if not items:
            return [], []
        unembedded = self._vectors.fill(index, make=_MOST_ON_THE_SPOT)
        vector = None if unembedded else self._vectors.make(query)
        found = index.find(query, vector)
        scores = ranked(found, index.turns, query)
        now = self._clock.wall()
        answering = [
            (items[place], float(scores[place]))
            for place in np.flatnonzero(found.answers(_RELATED))
            if not items[place].is_over(now)
        ]
        if changes == self._changes:
            self._loaded[key] = loaded
        else:
            index.close()
        while len(self._loaded) > _MOST_INDEXES:
            self._loaded.popitem(last=False)[1][1].close()
        return answering, unembedded

    def _load(self, key: tuple[str, str]) -> tuple[list[Item], TurnIndex]:
        items = [_item(row) for row in self._store.read(_OF, (*key, self._clock.wall()))]
        index = TurnIndex()
        index.add([item.turn for item in items])
        return items, index


def _item(row: Sequence[Value]) -> Item:
    id_, text, tags, at, ends = row
    expires = None if ends is None else _seconds(ends)
    return Item(str(id_), str(text), tuple(json.loads(str(tags))), _seconds(at), expires)


def _seconds(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
