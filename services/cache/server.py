"""Puts the cache service together."""

from __future__ import annotations

import random
from functools import partial

from prometheus_client import CollectorRegistry

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.cache.embedding import Embedding, Model
from services.cache.look_up import Cache
from services.cache.metrics import CacheMetrics
from services.cache.replicas import Keeper
from services.cache.semantic_level import SemanticLevel
from services.cache.service import CacheService
from services.cache.settings import CacheSettings
from services.cache.sqlite_storage import SqliteStorage
from services.cache.storage import MemoryStorage, Storage
from services.cache.vector_file import VectorFile
from services.cache.verifier import SHIPPED, load
from services.cache.write_behind import WriteBehind
from services.chassis.clock import Clock, SystemClock
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.chassis.server import Service, Servicer

FILE, VECTORS = "cache.sqlite", "cache.vectors"


def _model(settings: CacheSettings) -> Model:
    """Loads what the semantic level stands on. Raises EmbedderDamaged, VerifierUnusable."""
    from services.embedding.shared import minilm, word_vectors

    embedder = minilm()
    verifier = load(settings.verifier or SHIPPED, model_hash=embedder.model_hash)
    return Model(embedder, word_vectors(), verifier)


def _keeper(settings: CacheSettings, log: Log, clock: Clock, metrics: CacheMetrics) -> Keeper:
    """Where entries are kept beyond this process: for all replicas, on disk, or nowhere."""
    if settings.redis is not None:
        from services.cache.redis_log import RedisLog  # one machine never loads it

        return RedisLog(settings.redis.reveal(), log=log, clock=clock, on_dropped=metrics.dropped_writes.inc)
    storage: Storage = MemoryStorage()
    if settings.persist:
        storage = SqliteStorage(settings.state / "cache" / FILE, log=log, clock=clock)
    return WriteBehind(storage, log=log, clock=clock, on_dropped=metrics.dropped_writes.inc)


def build(settings: CacheSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The service, not started: nothing is opened, no file is touched."""
    clock = SystemClock()
    metrics = CacheMetrics(registry)
    keeper = _keeper(settings, log, clock, metrics)
    embedding = Embedding(partial(_model, settings) if settings.semantic else None, Executor(), log)
    semantic = SemanticLevel(settings, embedding, Executor(threads=1), log, random.Random())  # noqa: S311
    vectors = None
    if settings.persist and settings.semantic and settings.redis is None:
        vectors = VectorFile(settings.state / "cache" / VECTORS, log=log, clock=clock)
    cache = Cache(settings, semantic=semantic, keeper=keeper, vectors=vectors, metrics=metrics, clock=clock)
    servicer = Servicer(
        full_name=pb.DESCRIPTOR.services_by_name["CacheService"].full_name,
        servicer=CacheService(cache),
        add=rpc.add_CacheServiceServicer_to_server,
    )
    return Service(
        name="cache",
        servicers=(servicer,),
        start=cache.start,
        stop=cache.stop,
        conversation_methods=frozenset({"LookUp", "Store"}),
    )
