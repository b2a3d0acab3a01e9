"""The gRPC face of MemoryService: part of the contract, and not served yet."""

from __future__ import annotations

from typing import Any

from omnisphere.router.v1 import memory_service_pb2 as pb
from omnisphere.router.v1 import memory_service_pb2_grpc as rpc
from services.chassis.errors import Unimplemented


class MemoryService(rpc.MemoryServiceServicer):
    """Says that memory is not served yet."""

    async def Remember(self, request: pb.RememberRequest, context: Any) -> pb.RememberResponse:
        raise Unimplemented(method="Remember")

    async def Recall(self, request: pb.RecallRequest, context: Any) -> pb.RecallResponse:
        raise Unimplemented(method="Recall")

    async def Forget(self, request: pb.ForgetRequest, context: Any) -> pb.ForgetResponse:
        raise Unimplemented(method="Forget")

    async def Expand(self, request: pb.ExpandRequest, context: Any) -> pb.ExpandResponse:
        raise Unimplemented(method="Expand")
