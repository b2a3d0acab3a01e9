"""Puts a stream through a real cache service: everything is stored once, then everything is looked up."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TextIO, TypeVar

from bench.cache.pairs import LookUp, Stream
from bench.cache.process import SECONDS, CacheProcess, cache_process
from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2

BUDGETS = (0.005, 0.01)
_AT_ONCE, _EMBEDDED_AT_ONCE = 16, 64
_HITS = (pb.CACHE_OUTCOME_EXACT_HIT, pb.CACHE_OUTCOME_SEMANTIC_HIT)
T = TypeVar("T")
Vectors = dict[str, pb.Vector]


async def embedded(texts: Iterable[str]) -> Vectors:
    """The service's own vectors, so that each text is embedded once and not once per budget; none for a long text."""
    with tempfile.TemporaryDirectory(prefix="omnisphere-bench-") as folder:
        async with cache_process(Path(folder), persist="off", log_level="warning") as cache:
            return await _embedded(cache, list(dict.fromkeys(texts)))


def texts_of(stream: Stream) -> list[str]:
    """All texts of a stream."""
    return [*stream.cached, *(look_up.query for look_up in stream.look_ups)]


async def judge(artefact: str, verifier: Path | None, stream: Stream, vectors: Vectors, into: TextIO) -> None:
    """One row per look-up and budget. `verifier`: a file in the place of the one that ships."""
    for budget in BUDGETS:
        settings = {"false_hit_budget": str(budget), "persist": "off", "log_level": "warning", "check_share": "0"}
        if verifier is not None:
            settings["verifier"] = str(verifier)
        with tempfile.TemporaryDirectory(prefix="omnisphere-bench-") as folder:
            async with cache_process(Path(folder), **settings) as cache:
                await _each(stream.cached, lambda text: _store(cache, text, vectors))
                rows = await _each(stream.look_ups, lambda one: _look_up(cache, one, vectors))
        for look_up, row in zip(stream.look_ups, rows, strict=True):
            said = {"artefact": artefact, "stream": look_up.source, "kind": look_up.kind, "query": look_up.query}
            into.write(json.dumps(said | {"budget": budget} | row) + "\n")


def query_of(text: str) -> pb.Query:
    """The text as a conversation of its own."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])
    return pb.Query(conversation=chat_pb2.Conversation(messages=[message]), model="bench")


def reply_of(text: str) -> pb.CachedReply:
    """An answer that is only a text."""
    return pb.CachedReply(
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(text=text)]),
        finish_reason=chat_pb2.FINISH_REASON_STOP,
        model="bench",
        usage=chat_pb2.Usage(output_tokens=1),
        cost=chat_pb2.Cost(nanousd=1, priced=True),
    )


async def _embedded(cache: CacheProcess, texts: list[str]) -> Vectors:
    pieces = [texts[at : at + _EMBEDDED_AT_ONCE] for at in range(0, len(texts), _EMBEDDED_AT_ONCE)]

    async def embed(piece: list[str]) -> pb.EmbedTextsResponse:
        return await cache.stub.EmbedTexts(pb.EmbedTextsRequest(texts=piece), timeout=SECONDS)

    answers = await _each(pieces, embed)
    found = (vector for answer in answers for vector in answer.embeddings)
    return {text: vector for text, vector in zip(texts, found, strict=True) if vector.values}


async def _store(cache: CacheProcess, text: str, vectors: Vectors) -> None:
    request = pb.StoreRequest(query=query_of(text), reply=reply_of(text), embedding=vectors.get(text))
    await cache.stub.Store(request, timeout=SECONDS)


async def _look_up(cache: CacheProcess, look_up: LookUp, vectors: Vectors) -> dict[str, object]:
    request = pb.LookUpRequest(query=query_of(look_up.query), embedding=vectors.get(look_up.query))
    response = await cache.stub.LookUp(request, timeout=SECONDS)
    hit = response.outcome in _HITS
    outcome = pb.CacheOutcome.Name(response.outcome).removeprefix("CACHE_OUTCOME_").lower()
    reason = pb.CacheReason.Name(response.reason).removeprefix("CACHE_REASON_").lower() if response.reason else ""
    veto = pb.CacheVeto.Name(response.veto).removeprefix("CACHE_VETO_").lower() if response.veto else ""
    return {
        "hit": hit,
        "matched": response.reply.message.parts[0].text if hit else None,
        "similarity": round(response.similarity, 4),
        "confidence": round(response.confidence, 4),
        "reason": " ".join(filter(None, (outcome, reason, veto))),
    }


async def _each(items: Iterable[object], work: Callable[..., Awaitable[T]]) -> list[T]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: object) -> T:
        async with gate:
            return await work(item)

    return list(await asyncio.gather(*map(one, items)))
