"""Puts the cache service together."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.cache.look_up import Cache
from services.cache.metrics import CacheMetrics
from services.cache.service import CacheService
from services.cache.settings import CacheSettings
from services.cache.sqlite_storage import SqliteStorage
from services.cache.storage import MemoryStorage, Storage
from services.cache.write_behind import WriteBehind
from services.chassis.clock import SystemClock
from services.chassis.logs import Log
from services.chassis.server import Service, Servicer

FILE = "cache.sqlite"


def build(settings: CacheSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The service, not started: nothing is opened, no file is touched."""
    clock = SystemClock()
    metrics = CacheMetrics(registry)
    storage: Storage = MemoryStorage()
    if settings.persist:
        storage = SqliteStorage(settings.state / "cache" / FILE, log=log, clock=clock)
    writes = WriteBehind(storage, log=log, clock=clock, on_dropped=metrics.dropped_writes.inc)
    cache = Cache(settings, writes=writes, metrics=metrics, clock=clock)
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
