"""The gRPC face of MemoryService: forwards to the context service with the caller's tenant."""

from __future__ import annotations

from typing import Any

from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import memory_service_pb2 as pb
from omnisphere.router.v1 import memory_service_pb2_grpc as rpc
from services.router.peers import ContextPeer

_TIMEOUT = 10.0


class MemoryService(rpc.MemoryServiceServicer):
    """What a tenant keeps of its conversations."""

    def __init__(self, context: ContextPeer) -> None:
        self._context = context

    async def Remember(self, request: pb.RememberRequest, context: Any) -> pb.RememberResponse:
        forwarded = context_pb.RememberRequest(conversation_id=request.conversation_id, items=request.items)
        if request.HasField("ttl"):
            forwarded.ttl.CopyFrom(request.ttl)
        response = await self._context.remember(forwarded, _TIMEOUT)
        return pb.RememberResponse(ids=response.ids)

    async def Recall(self, request: pb.RecallRequest, context: Any) -> pb.RecallResponse:
        forwarded = context_pb.RecallRequest(
            conversation_id=request.conversation_id, query=request.query, limit=request.limit
        )
        response = await self._context.recall(forwarded, _TIMEOUT)
        return pb.RecallResponse(items=response.items, degradations=response.degradations)

    async def Forget(self, request: pb.ForgetRequest, context: Any) -> pb.ForgetResponse:
        forwarded = context_pb.ForgetRequest(conversation_id=request.conversation_id, ids=request.ids, tag=request.tag)
        return pb.ForgetResponse(items=(await self._context.forget(forwarded, _TIMEOUT)).items)

    async def Expand(self, request: pb.ExpandRequest, context: Any) -> pb.ExpandResponse:
        response = await self._context.expand(context_pb.ExpandRequest(handles=request.handles), _TIMEOUT)
        return pb.ExpandResponse(messages=response.messages)
