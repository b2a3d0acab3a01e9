"""The gRPC face of the cache: each method hands on to the journey."""

from __future__ import annotations

from typing import Any

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.cache.look_up import Cache
from services.chassis.errors import Unimplemented


class CacheService(rpc.CacheServiceServicer):
    """CacheService of the contract, exact level."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def LookUp(self, request: pb.LookUpRequest, context: Any) -> pb.LookUpResponse:
        return self._cache.look_up(request)

    async def Store(self, request: pb.StoreRequest, context: Any) -> pb.StoreResponse:
        return self._cache.store(request)

    async def Invalidate(self, request: pb.InvalidateRequest, context: Any) -> pb.InvalidateResponse:
        return await self._cache.invalidate(request)

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        return self._cache.stats()

    # Refused by ourselves: the generated refusal needs a gRPC context, and a caller in the same process has none.
    async def ReportHit(self, request: pb.ReportHitRequest, context: Any) -> pb.ReportHitResponse:
        raise Unimplemented(method="ReportHit")

    async def EmbedTexts(self, request: pb.EmbedTextsRequest, context: Any) -> pb.EmbedTextsResponse:
        raise Unimplemented(method="EmbedTexts")
