"""The gRPC face of the providers service: decode, delegate, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as rpc
from services.chassis.errors import InvalidRequest, Unimplemented
from services.providers.call import Caller
from services.providers.endpoints import Directory


class ProvidersService(rpc.ProvidersServiceServicer):
    """Generate, StreamGenerate and ListModels. Embed is not served yet."""

    def __init__(self, caller: Caller, directory: Callable[[], Directory]) -> None:
        self._caller = caller
        self._directory = directory

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:
        _check(request.generation)
        return await self._caller.generate(request.generation)

    async def StreamGenerate(
        self, request: pb.StreamGenerateRequest, context: Any
    ) -> AsyncIterator[pb.StreamGenerateResponse]:
        _check(request.generation)
        async with aclosing(self._caller.stream(request.generation)) as responses:
            async for response in responses:
                yield response

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        raise Unimplemented(method="Embed")

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        directory = self._directory()
        known = request.known_version == directory.version
        return pb.ListModelsResponse(models=() if known else directory.listed, version=directory.version)


def _check(generation: pb.Generation) -> None:
    """The router has checked the conversation; this is what a call cannot do without."""
    if not generation.model:
        raise InvalidRequest(field="generation.model", problem="is not set")
    if not generation.request_id:
        raise InvalidRequest(field="generation.request_id", problem="is not set")
    if not generation.conversation.messages:
        raise InvalidRequest(field="generation.conversation.messages", problem="is empty")
