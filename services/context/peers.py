"""The providers service as the context service sees it: it asks a cheap model for summaries, and nothing else."""

from __future__ import annotations

from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as rpc
from services.chassis.peer import Invoker


class ProvidersPeer:
    """Over gRPC or in this process: the invoker decides. All methods raise ServiceError."""

    def __init__(self, invoker: Invoker, target: rpc.ProvidersServiceAsyncStub | rpc.ProvidersServiceServicer) -> None:
        self._invoker = invoker
        self._target = target

    async def generate(self, request: pb.GenerateRequest, timeout: float) -> pb.GenerateResponse:
        response: pb.GenerateResponse = await self._invoker.unary(self._target.Generate, request, timeout)
        return response

    async def list_models(self, request: pb.ListModelsRequest, timeout: float) -> pb.ListModelsResponse:
        response: pb.ListModelsResponse = await self._invoker.unary(self._target.ListModels, request, timeout)
        return response
