"""Fits generated conversations with the service's own objects, and checks every promise on each."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry

from bench.invariants.cases import Case, cases
from bench.invariants.checks import Count, broken
from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import ContextTooLong
from services.chassis.logs import Log
from services.context.ranks import O200K, Encodings
from services.context.server import assemble
from services.context.settings import load as settings
from services.context.tokens import TokenCounter
from services.embedding.embedder import Embedder, EmbedderDamaged
from services.embedding.hashing import HashingEmbedder

# Every so many cases are also fitted by another replica, grown request by request, and fitted without an embedder.
_EVERY = 10


@dataclass(slots=True)
class Found:
    """What a run found. `examples`: the first case of each broken promise, by its number."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    examples: dict[str, int] = field(default_factory=dict)

    def note(self, case: Case, promises: list[str]) -> None:
        """Promises that a case broke."""
        for promise in promises:
            self.broken[promise] += 1
            self.examples.setdefault(promise, case.number)

    def figures(self) -> dict[str, Any]:
        """As one object."""
        return {
            "cases": self.cases,
            "violations": sum(self.broken.values()),
            "broken": dict(self.broken),
            "examples": self.examples,
            "outcomes": dict(self.outcomes),
        }


class Replica:
    """The objects behind Fit, as the service has them, with an embedder that needs no model."""

    def __init__(self, state: Path, load: Callable[[], Embedder] = HashingEmbedder) -> None:
        environ = {"OMNISPHERE_STATE": str(state), "OMNISPHERE_CONTEXT_INLINE_BYTES": str(1 << 30)}
        self._parts = assemble(settings(environ), Log("context", stream=io.StringIO()), CollectorRegistry(), load)
        self.counter = self._parts.counter
        self.fitter = self._parts.fitter

    async def fit(self, request: pb.FitRequest) -> pb.FitResponse | None:
        """The response; None: it cannot fit."""
        try:
            return await self.fitter.fit(request)
        except ContextTooLong:
            return None

    async def close(self) -> None:
        """End its threads."""
        await self._parts.close()


async def run_cases(seed: int, count: int) -> Found:
    """All cases of a seed."""
    found, encoding = Found(), Encodings().get(O200K)
    with TemporaryDirectory() as directory:
        state = Path(directory)
        plain, other, damaged = Replica(state / "1"), Replica(state / "2"), Replica(state / "3", _damaged)
        for case in cases(seed, count):
            await _checked(case, found, (plain, other, damaged), lambda text: len(encoding.encode_ordinary(text)))
        for replica in (plain, other, damaged):
            await replica.close()
    return found


async def _checked(case: Case, found: Found, replicas: tuple[Replica, Replica, Replica], count: Count) -> None:
    plain, other, damaged = replicas
    request = request_of(case, plain.counter)
    response = await plain.fit(request)
    found.cases += 1
    if response is None:
        found.outcomes["too_long"] += 1
        found.note(case, [] if _is_too_long(request, plain.counter) else ["refused"])
        return
    found.outcomes["block" if response.blocks else "cut" if len(response.messages) < _size(case) else "whole"] += 1
    found.note(case, broken(request, response, count if case.model == "gpt-5" else None))
    again = await plain.fit(with_messages(request, response.messages))
    if again is None or list(again.messages) != list(response.messages):
        found.note(case, ["idempotent"])
    if case.number % _EVERY == 0:
        elsewhere = await other.fit(request)
        # Another replica may still be without vectors, and then says so.
        if elsewhere is None or (elsewhere != response and elsewhere.degradations == response.degradations):
            found.note(case, ["deterministic"])
        found.note(case, await _grown(request, plain))
        alone = await damaged.fit(request)
        found.note(case, ["never_closed"] if alone is None else broken(request, alone, None))


def request_of(case: Case, counter: TokenCounter) -> pb.FitRequest:
    """The case as a request whose budget is its share of what everything needs."""
    needs = counter.count(case.conversation, case.model).total().upper_bound
    return pb.FitRequest(
        conversation=case.conversation,
        model=case.model,
        window_tokens=max(2, int(needs * case.share)),
        reserved_output_tokens=1,
        policy=case.policy,
    )


def with_messages(request: pb.FitRequest, messages: Iterable[chat.Message]) -> pb.FitRequest:
    """The same request about other messages."""
    changed = pb.FitRequest()
    changed.CopyFrom(request)
    del changed.conversation.messages[:]
    changed.conversation.messages.extend(messages)
    return changed


async def _grown(request: pb.FitRequest, replica: Replica) -> list[str]:
    """The conversation request by request: without a cut or a fetch between them, one output starts with the last."""
    given = request.conversation.messages
    ends = [place + 1 for place, m in enumerate(given) if m.role == chat.ROLE_USER]
    before: pb.FitResponse | None = None
    for end in ends:
        response = await replica.fit(with_messages(request, given[:end]))
        if response is None or response.blocks:
            before = None
            continue
        if before is not None and not _was_cut(before, response):
            start = list(before.messages)
            if list(response.messages)[: len(start)] != start:
                return ["prefix"]
        before = response
    return []


def _was_cut(before: pb.FitResponse, after: pb.FitResponse) -> bool:
    """Whether a unit went that had stayed."""
    return any(old.kept and not new.kept for old, new in zip(before.decisions, after.decisions, strict=False))


def _is_too_long(request: pb.FitRequest, counter: TokenCounter) -> bool:
    """Whether what must stay is larger than the budget: counted from the messages alone."""
    given = list(request.conversation.messages)
    last = max((place for place, m in enumerate(given) if m.role == chat.ROLE_USER), default=0)
    must = [m for place, m in enumerate(given) if place >= last or m.pinned or m.role in (1, 2)]
    least = with_messages(request, must).conversation
    needs = counter.count(least, request.model).total().upper_bound
    pins_or_marks = any(m.pinned or any(p.cache_breakpoint for p in m.parts) for m in given)
    return needs > request.window_tokens - request.reserved_output_tokens or pins_or_marks


def _size(case: Case) -> int:
    return len(case.conversation.messages)


def _damaged() -> Embedder:
    raise EmbedderDamaged("as in a pod without its files")
