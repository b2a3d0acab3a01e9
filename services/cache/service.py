"""The gRPC face of the cache: each method hands on to the journey."""

from __future__ import annotations

from typing import Any

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.cache.look_up import Cache


class CacheService(rpc.CacheServiceServicer):
    """CacheService of the contract."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def LookUp(self, request: pb.LookUpRequest, context: Any) -> pb.LookUpResponse:
        if request.known_entry_id:
            return self._cache.still(request)
        return await self._cache.look_up(request)

    async def Store(self, request: pb.StoreRequest, context: Any) -> pb.StoreResponse:
        return await self._cache.store(request)

    async def Invalidate(self, request: pb.InvalidateRequest, context: Any) -> pb.InvalidateResponse:
        return await self._cache.invalidate(request)

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        return self._cache.stats()

    async def ReportHit(self, request: pb.ReportHitRequest, context: Any) -> pb.ReportHitResponse:
        return self._cache.report(request)

    async def EmbedTexts(self, request: pb.EmbedTextsRequest, context: Any) -> pb.EmbedTextsResponse:
        return await self._cache.embed(request)
