"""The gRPC face of the router: decode, call the pipeline, encode. Errors are raised here, and aborted elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1 import router_service_pb2_grpc as rpc
from services.chassis import call_context
from services.chassis.errors import InvalidRequest
from services.chassis.interceptors import Unread
from services.router.admit import check_delivery
from services.router.catalog import CatalogueKeeper
from services.router.embed import Embedder
from services.router.hot import HotAnswers
from services.router.learning.outcomes import Outcomes
from services.router.pipeline import Delivery, Pipeline
from services.router.usage import Usage


class RouterService(rpc.RouterServiceServicer):
    """Serves applications."""

    def __init__(
        self,
        pipeline: Pipeline,
        catalogue: CatalogueKeeper,
        usage: Usage,
        embedder: Embedder,
        hot: HotAnswers,
        outcomes: Outcomes,
    ) -> None:
        self._pipeline = pipeline
        self._hot = hot
        self._outcomes = outcomes
        self._catalogue = catalogue
        self._usage = usage
        self._embedder = embedder

    async def Complete(self, request: pb.CompleteRequest | Unread, context: Any) -> pb.CompleteResponse | bytes:  # type: ignore[override] # the chassis takes bytes, too
        if not isinstance(request, Unread):
            return await self._pipeline.complete(request)
        again = await self._hot.answer(request.data)
        if again is not None:
            return again
        asked: pb.CompleteRequest = request.read()
        response = await self._pipeline.complete(asked)
        self._hot.offer(request.data, asked, response)
        return response

    async def StreamComplete(
        self, request: pb.StreamCompleteRequest, context: Any
    ) -> AsyncIterator[pb.StreamCompleteResponse]:
        check_delivery(request)
        restartable = request.on_interruption == pb.ON_INTERRUPTION_RESTART
        fast = request.stream_mode == pb.STREAM_MODE_FAST
        async with aclosing(
            self._pipeline.answer(request, Delivery(stream=True, restartable=restartable, fast=fast))
        ) as events:
            async for event in events:
                yield event

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainResponse:
        return await self._pipeline.explain(request)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        catalogue = await self._catalogue.needed()
        wanted = [model for model in catalogue.models if model.endpoints or request.include_uncallable]
        return pb.ListModelsResponse(models=wanted)

    async def RecordFeedback(self, request: pb.RecordFeedbackRequest, context: Any) -> pb.RecordFeedbackResponse:
        if not request.HasField("score"):
            raise InvalidRequest(field="score", problem="is missing")
        self._outcomes.feedback(call_context.current().caller.tenant, request.feedback_token, request.score)
        return pb.RecordFeedbackResponse()

    async def GetUsage(self, request: pb.GetUsageRequest, context: Any) -> pb.GetUsageResponse:
        return await self._usage.get(request)

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        return await self._embedder.embed(request)
