"""The gRPC face of the providers service: decode, delegate, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as rpc
from services.chassis.errors import InvalidRequest
from services.providers.call import Caller
from services.providers.embed import Embedder
from services.providers.ledger import Attempts
from services.providers.listing import Listing

_MOST_CALL_ID = 64
_MOST_TEXTS = 2_048


class ProvidersService(rpc.ProvidersServiceServicer):
    """Conversations, vectors, and what is known of the models."""

    def __init__(self, caller: Caller, embedder: Embedder, listing: Listing, attempts: Attempts) -> None:
        self._caller = caller
        self._embedder = embedder
        self._attempts = attempts
        self._listing = listing

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:
        _check(request.generation)
        with self._attempts.call(request.generation.call_id):
            return await self._caller.generate(request.generation)

    async def StreamGenerate(
        self, request: pb.StreamGenerateRequest, context: Any
    ) -> AsyncIterator[pb.StreamGenerateResponse]:
        _check(request.generation)
        with self._attempts.call(request.generation.call_id):
            async with aclosing(self._caller.stream(request.generation)) as responses:
                async for response in responses:
                    yield response

    async def GetAttempts(self, request: pb.GetAttemptsRequest, context: Any) -> pb.GetAttemptsResponse:
        if not request.call_id:
            raise InvalidRequest(field="call_id", problem="is not set")
        age = request.age.ToTimedelta().total_seconds() if request.HasField("age") else None
        found = self._attempts.of_call(request.call_id, age)
        return pb.GetAttemptsResponse(attempts=found or (), over=found is not None)

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        _check_texts(request)
        with self._attempts.call(request.call_id):
            return await self._embedder.embed(request)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        return self._listing.models(request.known_version)


def _check(generation: pb.Generation) -> None:
    """The router has checked the conversation; this is what a call cannot do without."""
    if not generation.model:
        raise InvalidRequest(field="generation.model", problem="is not set")
    if not generation.request_id:
        raise InvalidRequest(field="generation.request_id", problem="is not set")
    if len(generation.call_id) > _MOST_CALL_ID:
        raise InvalidRequest(field="generation.call_id", problem=f"is longer than {_MOST_CALL_ID} bytes")
    if not generation.conversation.messages:
        raise InvalidRequest(field="generation.conversation.messages", problem="is empty")


def _check_texts(request: pb.EmbedRequest) -> None:
    """The router has checked the texts; this is what a call cannot do without."""
    if not request.model:
        raise InvalidRequest(field="model", problem="is not set")
    if not request.request_id:
        raise InvalidRequest(field="request_id", problem="is not set")
    if len(request.call_id) > _MOST_CALL_ID:
        raise InvalidRequest(field="call_id", problem=f"is longer than {_MOST_CALL_ID} bytes")
    if not 1 <= len(request.texts) <= _MOST_TEXTS or not all(request.texts):
        raise InvalidRequest(field="texts", problem=f"is not 1 to {_MOST_TEXTS} texts, none of them empty")
    if request.HasField("dimensions") and request.dimensions < 1:
        raise InvalidRequest(field="dimensions", problem="is less than 1")
