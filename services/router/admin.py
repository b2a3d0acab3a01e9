"""The gRPC face of AdminService: forwards to the cache with the caller's tenant."""

from __future__ import annotations

from typing import Any

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import admin_service_pb2 as pb
from omnisphere.router.v1 import admin_service_pb2_grpc as rpc
from services.router.peers import CachePeer

_TIMEOUT = 10.0


class AdminService(rpc.AdminServiceServicer):
    """What a tenant may do to its own cache entries."""

    def __init__(self, cache: CachePeer) -> None:
        self._cache = cache

    async def Invalidate(self, request: pb.InvalidateRequest, context: Any) -> pb.InvalidateResponse:
        forwarded = cache_pb.InvalidateRequest(
            entry_id=request.entry_id,
            tag=request.tag,
            model=request.model,
            all=request.all,
            dry_run=request.dry_run,
            scope_of_entry_id=request.scope_of_entry_id,
            new_epoch=request.new_epoch,
        )
        response = await self._cache.invalidate(forwarded, _TIMEOUT)
        return pb.InvalidateResponse(entries=response.entries)

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        stats = await self._cache.get_stats(cache_pb.GetStatsRequest(), _TIMEOUT)
        return pb.GetStatsResponse(
            cache_entries=stats.entries,
            cache_bytes=stats.bytes,
            exact_hits=stats.exact_hits,
            semantic_hits=stats.semantic_hits,
            misses=stats.misses,
            not_eligible=stats.not_eligible,
        )
