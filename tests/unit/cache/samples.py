"""Queries, replies, entries and clocks for the tests of the cache."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.embedding import Embedding, Model
from services.cache.entry import Entry
from services.cache.fingerprint import Fingerprint, fingerprint_of
from services.cache.look_up import Cache
from services.cache.metrics import CacheMetrics
from services.cache.replicas import Keeper
from services.cache.semantic_level import SemanticLevel
from services.cache.settings import CacheSettings
from services.cache.storage import MemoryStorage, Storage
from services.cache.write_behind import WriteBehind
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.executor import Executor
from services.chassis.identity import Caller
from services.chassis.logs import Log

T = TypeVar("T")
START = 1_800_000_000.0


class StillClock:
    """A clock that moves when it is told to; waiting takes no time."""

    def __init__(self) -> None:
        self.wall_now = START
        self.monotonic_now = 1_000.0

    def monotonic(self) -> float:
        return self.monotonic_now

    def wall(self) -> float:
        return self.wall_now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self.wall_now += seconds
        self.monotonic_now += seconds


class Bench:
    """A cache with its parts in reach."""

    def __init__(
        self,
        storage: Storage | None = None,
        *,
        model: Model | None = None,
        keeper: Keeper | None = None,
        clock: Any = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or StillClock()
        self.lines = io.StringIO()
        self.registry = CollectorRegistry()
        metrics = CacheMetrics(self.registry)
        log = Log("cache", stream=self.lines)
        self.storage = storage or MemoryStorage()
        self.writes = WriteBehind(self.storage, log=log, clock=self.clock, on_dropped=metrics.dropped_writes.inc)
        made = CacheSettings(**({"semantic": model is not None, "tenant_share": 1.0} | settings))
        embedding = Embedding(None if model is None else lambda: model, Executor(), log)
        semantic = SemanticLevel(made, embedding, Executor(threads=1), log, random.Random(1), patience=10.0)
        self.cache = Cache(made, semantic=semantic, keeper=keeper or self.writes, metrics=metrics, clock=self.clock)

    def look_up(self, asked: pb.Query, tenant: str = "a", **control: Any) -> pb.LookUpResponse:
        request = pb.LookUpRequest(query=asked, control=pb.CacheControl(**control))
        return as_tenant(tenant, lambda: at_once(self.cache.look_up(request)))

    def still(self, entry_id: str, tenant: str = "a", **control: Any) -> pb.LookUpResponse:
        request = pb.LookUpRequest(known_entry_id=entry_id, control=pb.CacheControl(**control))
        return as_tenant(tenant, self.cache.still, request)

    def store(
        self, asked: pb.Query, answer: pb.CachedReply | None = None, tenant: str = "a", **control: Any
    ) -> pb.StoreResponse:
        request = pb.StoreRequest(query=asked, control=pb.CacheControl(**control), reply=answer or reply())
        return as_tenant(tenant, lambda: at_once(self.cache.store(request)))

    async def invalidate(self, tenant: str = "a", **fields: Any) -> int:
        response = await as_tenant_async(tenant, self.cache.invalidate(pb.InvalidateRequest(**fields)))
        return response.entries

    def stats(self, tenant: str = "a") -> pb.GetStatsResponse:
        return as_tenant(tenant, self.cache.stats)

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, which does not wait for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


def as_tenant(tenant: str, function: Callable[..., T], *arguments: Any) -> T:
    """What `function` returns when `tenant` calls it."""

    def run() -> T:
        call_context.enter(CallContext(Caller(tenant), "request", "0" * 32))
        return function(*arguments)

    return copy_context().run(run)


async def as_tenant_async(tenant: str, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns when `tenant` calls it."""
    context = copy_context()
    context.run(call_context.enter, CallContext(Caller(tenant), "request", "0" * 32))
    return await asyncio.create_task(work, context=context)


def query(text: str = "What is the capital of France?", *, system: str = "Be brief.", **fields: Any) -> pb.Query:
    """A question under a system prompt."""
    asked = pb.Query(**fields)
    if system:
        asked.conversation.messages.add(role=chat_pb2.ROLE_SYSTEM).parts.add(text=system)
    asked.conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add(text=text)
    return asked


def reply(text: str = "Paris.", *, model: str = "model-1", finish: str = "STOP") -> pb.CachedReply:
    """A complete answer."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(text=text)])
    return pb.CachedReply(
        message=message,
        finish_reason=chat_pb2.FinishReason.Value(f"FINISH_REASON_{finish}"),
        model=model,
        usage=chat_pb2.Usage(input_uncached_tokens=12, output_tokens=2),
        cost=chat_pb2.Cost(nanousd=420, priced=True),
    )


def entry(
    text: str,
    *,
    tenant: str = "a",
    stored_at: float = START,
    ttl: float = 3600.0,
    age_zero: float = 1_000.0,
    tags: tuple[str, ...] = (),
    model: str = "model-1",
) -> Entry:
    """An entry for the question `text`, answered with "re: " and the question."""
    asked = fingerprint_of(query(text), tenant=tenant, epoch="0")
    return Entry(
        tenant=tenant,
        fingerprint=asked.fingerprint,
        canonical=asked.canonical,
        reply=reply(f"re: {text}", model=model).SerializeToString(deterministic=True),
        model=model,
        tags=tags,
        stored_at=stored_at,
        expires_at=stored_at + ttl,
        age_zero=age_zero,
    )


class NoChanges:
    """Where there are no other replicas; notes what was learned before."""

    def __init__(self) -> None:
        self.learned: list[tuple[str, bytes, bytes]] = []
        self.kept: list[Entry] = []

    def kept_before(self, entries: list[Entry]) -> None:
        self.kept += entries

    def kept_elsewhere(self, entry: Entry) -> None:
        raise AssertionError("nobody else is there")

    def forgotten_elsewhere(self, fingerprint: Fingerprint) -> None:
        raise AssertionError("nobody else is there")

    def learned_elsewhere(self, kind: str, key: bytes, value: bytes) -> None:
        self.learned.append((kind, key, value))
