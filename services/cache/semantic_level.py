"""The semantic level as the journey uses it: embeds, decides, explains, and learns from checks."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from omnisphere.cache.v1 import cache_service_pb2 as pb
from services.cache.check_request import vector_of, written
from services.cache.embedding import Embedding, Model
from services.cache.entry import Entry, Vectors
from services.cache.fingerprint import Asked, Fingerprint, last_text
from services.cache.index import VectorIndex
from services.cache.online import Thresholds
from services.cache.scopes import Scopes
from services.cache.semantic import Near, SemanticTable
from services.cache.settings import CacheSettings
from services.cache.snapshot import Snapshot
from services.chassis.errors import Overloaded
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.embedding.embedder import Vector

# A look-up does not wait longer for a vector: the router's patience is 250 ms, and a miss is an answer, too.
_PATIENCE_SECONDS = 0.15
# Nobody waits for an answer to be kept.
_STORE_PATIENCE_SECONDS = 3.0
_MOST_SERVED = 10_000
_READ_AT_ONCE = 256
_MOVED_AT_ONCE = 4_096
_MOST_WRONG_PAIRS = 100_000
# Hits that the verifier was less sure of are checked more often.
_UNSURE_CHECKED = 4
# The entry at a place, where it may be served.
Live = Callable[[int], Entry | None]
_VETOES = {name.removeprefix("CACHE_VETO_").lower(): value for name, value in pb.CacheVeto.items()}


@dataclass(frozen=True, slots=True)
class _Served:
    """A hit that may be reported on."""

    namespace: bytes
    confidence: float
    probability: float


class SemanticLevel:
    """Answers by meaning. Without a model it finds nothing, and keeps nothing."""

    def __init__(
        self,
        settings: CacheSettings,
        embedding: Embedding,
        trainer: Executor,
        log: Log,
        chance: random.Random,
        *,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        """`patience`: how many seconds a look-up waits for a vector."""
        self._settings = settings
        self._embedding = embedding
        self._trainer = trainer
        self._log = log
        self._chance = chance
        self._patience = patience
        self._model: Model | None = None
        self._table: SemanticTable | None = None
        self._scopes: Scopes | None = None
        self._thresholds = Thresholds(1.01, settings.false_hit_budget)
        self._served: OrderedDict[tuple[Fingerprint, str], _Served] = OrderedDict()
        # What was asked and the entry whose answer was wrong for it: two fingerprints, oldest first.
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        # What an earlier process learned about namespaces, until the model is there.
        self._before: dict[bytes, bytes] = {}
        self._is_warm = False
        self._left: Snapshot | None = None
        # Vectors that came before the model, by place: whether they are its own it must say.
        self._unread: dict[int, tuple[bytes, Vectors]] = {}
        self._on_learned: list[Callable[[str, bytes, bytes], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, snapshot: Snapshot | None = None) -> None:
        """Load the model in the background. `snapshot`: vectors of before, for take_up()."""
        self._left = snapshot
        self._embedding.start()
        self._spawn(self._loaded(), "cache-model")

    def take_up(self, place_of: Callable[[Fingerprint], int]) -> None:
        """All entries that were kept before are here: take up the snapshot's vectors of them, in the background."""
        self._spawn(self._warm(place_of), "cache-warm")

    def snapshot(self, mark: int, name: Callable[[int], Fingerprint]) -> Snapshot | None:
        """All vectors, as storage up to `mark` has them, too; None where there are none, or not all are here yet.

        `name` says whose place it is.
        """
        if self._model is None or self._table is None or not len(self._table) or not self._is_warm:
            return None
        embedder = self._model.embedder
        return Snapshot(embedder.model_hash, embedder.dimension, mark, self._table.dump(name))

    async def ready(self) -> None:
        """When the background work that there is now has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End what runs in the background."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._embedding.stop()
        self._trainer.close()

    def __len__(self) -> int:
        return 0 if self._table is None else len(self._table)

    async def look_up(self, request: pb.LookUpRequest, asked: Asked, namespace: bytes, live: Live) -> pb.LookUpResponse:
        """What is found by meaning: a hit, or a miss that says why. Never raises for want of a vector."""
        response = pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_MISS)
        if self._model is None:
            return response  # it is still being loaded: a look-up does not wait for that
        text = last_text(asked.canonical)
        vector, too_long = await self._vector(request, text, self._patience)
        if vector is None or self._table is None:
            response.reason = pb.CACHE_REASON_TOO_LONG if too_long else pb.CACHE_REASON_UNSPECIFIED
            return response
        if not request.peek:
            self._thresholds.looked_up(namespace)
        threshold = self._thresholds.of(namespace)
        near = self._table.nearest(asked, vector, threshold, lambda place: self._right(asked, place, live))
        self._explain(response, near, threshold)
        if near.state == "hit" and near.entry is not None:
            self._serve(request, response, asked, namespace, near.entry)
        elif request.want_embedding:
            response.embedding.CopyFrom(written(vector, self._model.embedder.model_hash))
        return response

    async def vector_to_keep(self, request: pb.StoreRequest, asked: Asked) -> Vector | None:
        """The vector that an entry is to be found by; None where it cannot be had now."""
        vector, _ = await self._vector(request, last_text(asked.canonical), _STORE_PATIENCE_SECONDS)
        return vector

    def put(self, place: int, scope: bytes, vector: Vector) -> None:
        """Have a kept entry found by its meaning."""
        if self._table is not None:
            self._table.add(place, scope, vector)

    def restore(self, place: int, entry: Entry) -> None:
        """Take up the vector that comes with an entry, where it is one of our model's."""
        if entry.vectors is None:
            return
        if self._model is None:
            self._unread[place] = (entry.asked().scope, entry.vectors)
        else:
            self._read(place, entry.asked().scope, entry.vectors, self._model)

    def _read(self, place: int, scope: bytes, vectors: Vectors, model: Model) -> None:
        if vectors.model_hash == model.embedder.model_hash and len(vectors.data) == 2 * model.embedder.dimension:
            vector = np.frombuffer(vectors.data, np.float16).astype(np.float32)
            if np.isfinite(vector).all():
                self.put(place, scope, vector)

    def remove(self, place: int, entry: Entry) -> None:
        """Forget the vector of an entry that left its place."""
        self._unread.pop(place, None)
        if self._table is not None:
            self._table.remove(place, entry)

    def packed(self, vector: Vector) -> Vectors:
        """A vector as it is kept with its entry."""
        model_hash = "" if self._model is None else self._model.embedder.model_hash
        return Vectors(model_hash, vector.astype(np.float16).tobytes())

    def report(self, request: pb.ReportHitRequest, asked: Asked, namespace: bytes, entry: Entry | None) -> float:
        """Take up whether a hit was right; the threshold that now holds for the namespace."""
        if request.verdict == pb.ReportHitRequest.VERDICT_UNKNOWN:
            return self._thresholds.of(namespace)
        wrong = request.verdict == pb.ReportHitRequest.VERDICT_WRONG
        served = self._served.pop((asked.fingerprint, request.entry_id), None)
        if wrong and entry is not None:
            self._tombstone(asked.fingerprint + entry.fingerprint)
            self._tell("wrong", asked.fingerprint + entry.fingerprint, b"")
        if served is None:  # not a hit of this process, or reported before: it teaches nothing about how often
            return self._thresholds.of(namespace)
        probability = served.probability if request.check_probability else 1.0
        threshold = self._thresholds.checked(
            namespace, confidence=served.confidence, probability=probability or 1.0, wrong=wrong
        )
        if wrong:
            self._tell("threshold", namespace, self._thresholds.learned(namespace))
        return threshold

    def tell(self, hear: Callable[[str, bytes, bytes], None]) -> None:
        """Have `hear` told what is worth being kept: its kind, its key and its value."""
        self._on_learned.append(hear)

    def _tell(self, kind: str, key: bytes, value: bytes) -> None:
        for hear in self._on_learned:
            hear(kind, key, value)

    def learned(self, kind: str, key: bytes, value: bytes) -> None:
        """Take up what another replica or an earlier process learned."""
        if kind == "wrong":
            self._tombstone(key)
        elif kind == "threshold":
            self._before[key] = value

    def _tombstone(self, pair: bytes) -> None:
        """Never again answer that request with that entry."""
        self._wrong[pair] = None
        if len(self._wrong) > _MOST_WRONG_PAIRS:
            self._wrong.popitem(last=False)

    async def embed(self, text: str) -> pb.Vector:
        """The text's vector for EmbedTexts; without values where it is too long, or there is no model."""
        vector = await self._embedding.vector(text)
        if vector is None or self._model is None:
            return pb.Vector()
        return written(vector, self._model.embedder.model_hash)

    async def model(self) -> Model | None:
        """The model, when it is loaded."""
        model = await self._embedding.model()
        if model is not None and self._model is None:
            self._take(model)
        return model

    async def _vector(
        self, request: pb.LookUpRequest | pb.StoreRequest, text: str, patience: float
    ) -> tuple[Vector | None, bool]:
        """(the text's vector, whether it has none because it is too long)."""
        if self._model is not None and request.HasField("embedding"):
            return _given(request.embedding, self._model), False
        with contextlib.suppress(TimeoutError, Overloaded):
            async with asyncio.timeout(patience):
                model = self._model or await self.model()
                if model is None:
                    return None, False
                if request.HasField("embedding"):
                    return _given(request.embedding, model), False
                vector = await self._embedding.vector(text)
                return vector, vector is None
        return None, False

    def _right(self, asked: Asked, place: int, live: Live) -> Entry | None:
        entry = live(place)
        return None if entry is None or asked.fingerprint + entry.fingerprint in self._wrong else entry

    def _explain(self, response: pb.LookUpResponse, near: Near, threshold: float) -> None:
        if near.state == "none":
            return
        response.similarity, response.confidence = near.similarity, near.confidence
        response.threshold = threshold
        if near.state == "vetoed" and near.veto is not None:
            response.reason = pb.CACHE_REASON_VETOED
            response.veto = pb.CacheVeto.Value(f"CACHE_VETO_{near.veto.upper()}")
        elif near.state == "below":
            response.reason = pb.CACHE_REASON_BELOW_THRESHOLD

    def _serve(
        self, request: pb.LookUpRequest, response: pb.LookUpResponse, asked: Asked, namespace: bytes, entry: Entry
    ) -> None:
        response.outcome = pb.CACHE_OUTCOME_SEMANTIC_HIT
        response.entry_id = entry.entry_id
        response.reply.MergeFromString(entry.reply)
        response.stored_at.FromNanoseconds(int(entry.stored_at * 1e9))
        if request.peek:
            return
        share = self._settings.check_share
        if response.confidence < (1 + response.threshold) / 2:
            share = min(1.0, share * _UNSURE_CHECKED)
        if self._chance.random() < share:
            response.check_probability = share
        self._served[(asked.fingerprint, entry.entry_id)] = _Served(namespace, response.confidence, share)
        if len(self._served) > _MOST_SERVED:
            self._served.popitem(last=False)

    def _take(self, model: Model) -> None:
        self._model = model
        self._scopes = Scopes(model.embedder.dimension, train=self._want_lists)
        self._table = SemanticTable(self._scopes, model.verifier, model.words)
        if self._left is not None:
            self._table.after(self._left.scopes)
        budget = self._settings.false_hit_budget
        self._thresholds = Thresholds(model.verifier.threshold(budget), budget)
        for namespace, counts in self._before.items():
            self._thresholds.restore(namespace, counts)
        self._before.clear()

    async def _loaded(self) -> None:
        """Load the model, and read what came before it."""
        model = await self.model()
        while model is not None and self._unread:
            for place in list(islice(self._unread, _READ_AT_ONCE)):
                self._read(place, *self._unread.pop(place), model)
            await asyncio.sleep(0)

    async def _warm(self, place_of: Callable[[Fingerprint], int]) -> None:
        await self._loaded()
        snapshot, self._left = self._left, None
        if self._model is None or self._table is None:
            return
        if snapshot is not None and snapshot.model_hash == self._model.embedder.model_hash:
            for scope in snapshot.scopes:
                for _ in self._table.take(scope, place_of):
                    await asyncio.sleep(0)
            self._table.taken()
        self._is_warm = True

    def _want_lists(self, scope: bytes, index: VectorIndex) -> None:
        self._spawn(self._train(scope, index), "cache-train")

    async def _train(self, scope: bytes, index: VectorIndex) -> None:
        """Inverted lists for a scope that has grown, made away from the event loop, and filled a few at a time."""
        from services.cache.faiss_index import ListsIndex, sample_of

        lists = None
        try:
            numbers = index.numbers()
            sample = index.vectors(sample_of(numbers))
            lists = await self._trainer.run(ListsIndex.trained, len(numbers), sample)
            del sample
            for start in range(0, len(numbers), _MOVED_AT_ONCE):
                if (
                    self._scopes is None
                    or (rows := self._scopes.rows(scope, index, numbers[start : start + _MOVED_AT_ONCE])) is None
                ):
                    return
                await self._trainer.run(lists.add_all, *rows)
        except Exception as failure:  # the old index goes on serving
            self._log.error("cache_training_failed", failure)
        if self._scopes is not None:
            self._scopes.take_lists(scope, lists)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _given(given: pb.Vector, model: Model) -> Vector:
    """A vector that the caller computed. Raises InvalidRequest."""
    return vector_of(given, dimension=model.embedder.dimension, model_hash=model.embedder.model_hash)
