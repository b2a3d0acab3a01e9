"""The services that the router calls, as it sees them. Over gRPC or in this process: the invoker decides."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as cache_rpc
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.context.v1 import context_service_pb2_grpc as context_rpc
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as providers_rpc
from services.chassis.peer import Invoker


class CachePeer:
    """The cache service. All methods raise ServiceError."""

    def __init__(
        self, invoker: Invoker, target: cache_rpc.CacheServiceAsyncStub | cache_rpc.CacheServiceServicer
    ) -> None:
        self._invoker = invoker
        self._target = target

    async def look_up(self, request: cache_pb.LookUpRequest, timeout: float) -> cache_pb.LookUpResponse:
        response: cache_pb.LookUpResponse = await self._invoker.unary(self._target.LookUp, request, timeout)
        return response

    async def store(self, request: cache_pb.StoreRequest, timeout: float) -> cache_pb.StoreResponse:
        response: cache_pb.StoreResponse = await self._invoker.unary(self._target.Store, request, timeout)
        return response

    async def embed_texts(self, request: cache_pb.EmbedTextsRequest, timeout: float) -> cache_pb.EmbedTextsResponse:
        response: cache_pb.EmbedTextsResponse = await self._invoker.unary(self._target.EmbedTexts, request, timeout)
        return response

    async def report_hit(self, request: cache_pb.ReportHitRequest, timeout: float) -> cache_pb.ReportHitResponse:
        response: cache_pb.ReportHitResponse = await self._invoker.unary(self._target.ReportHit, request, timeout)
        return response

    async def invalidate(self, request: cache_pb.InvalidateRequest, timeout: float) -> cache_pb.InvalidateResponse:
        response: cache_pb.InvalidateResponse = await self._invoker.unary(self._target.Invalidate, request, timeout)
        return response

    async def get_stats(self, request: cache_pb.GetStatsRequest, timeout: float) -> cache_pb.GetStatsResponse:
        response: cache_pb.GetStatsResponse = await self._invoker.unary(self._target.GetStats, request, timeout)
        return response


class ContextPeer:
    """The context service. All methods raise ServiceError."""

    def __init__(
        self, invoker: Invoker, target: context_rpc.ContextServiceAsyncStub | context_rpc.ContextServiceServicer
    ) -> None:
        self._invoker = invoker
        self._target = target

    async def fit(self, request: context_pb.FitRequest, timeout: float) -> context_pb.FitResponse:
        response: context_pb.FitResponse = await self._invoker.unary(self._target.Fit, request, timeout)
        return response

    async def count_tokens(
        self, request: context_pb.CountTokensRequest, timeout: float
    ) -> context_pb.CountTokensResponse:
        response: context_pb.CountTokensResponse = await self._invoker.unary(self._target.CountTokens, request, timeout)
        return response

    async def decode_tokens(
        self, request: context_pb.DecodeTokensRequest, timeout: float
    ) -> context_pb.DecodeTokensResponse:
        method = self._target.DecodeTokens
        response: context_pb.DecodeTokensResponse = await self._invoker.unary(method, request, timeout)
        return response

    async def report_usage(
        self, request: context_pb.ReportUsageRequest, timeout: float
    ) -> context_pb.ReportUsageResponse:
        response: context_pb.ReportUsageResponse = await self._invoker.unary(self._target.ReportUsage, request, timeout)
        return response

    async def remember(self, request: context_pb.RememberRequest, timeout: float) -> context_pb.RememberResponse:
        response: context_pb.RememberResponse = await self._invoker.unary(self._target.Remember, request, timeout)
        return response

    async def recall(self, request: context_pb.RecallRequest, timeout: float) -> context_pb.RecallResponse:
        response: context_pb.RecallResponse = await self._invoker.unary(self._target.Recall, request, timeout)
        return response

    async def forget(self, request: context_pb.ForgetRequest, timeout: float) -> context_pb.ForgetResponse:
        response: context_pb.ForgetResponse = await self._invoker.unary(self._target.Forget, request, timeout)
        return response

    async def expand(self, request: context_pb.ExpandRequest, timeout: float) -> context_pb.ExpandResponse:
        response: context_pb.ExpandResponse = await self._invoker.unary(self._target.Expand, request, timeout)
        return response


class ProvidersPeer:
    """The providers service. All methods raise ServiceError; a failed call to a model carries AttemptsFailed."""

    def __init__(
        self,
        invoker: Invoker,
        target: providers_rpc.ProvidersServiceAsyncStub | providers_rpc.ProvidersServiceServicer,
    ) -> None:
        self._invoker = invoker
        self._target = target

    async def generate(self, request: providers_pb.GenerateRequest, timeout: float) -> providers_pb.GenerateResponse:
        response: providers_pb.GenerateResponse = await self._invoker.unary(self._target.Generate, request, timeout)
        return response

    def stream_generate(
        self, request: providers_pb.StreamGenerateRequest, timeout: float
    ) -> AsyncGenerator[providers_pb.StreamGenerateResponse, None]:
        return self._invoker.stream(self._target.StreamGenerate, request, timeout)

    async def embed(self, request: providers_pb.EmbedRequest, timeout: float) -> providers_pb.EmbedResponse:
        response: providers_pb.EmbedResponse = await self._invoker.unary(self._target.Embed, request, timeout)
        return response

    async def get_attempts(
        self, request: providers_pb.GetAttemptsRequest, timeout: float
    ) -> providers_pb.GetAttemptsResponse:
        response: providers_pb.GetAttemptsResponse = await self._invoker.unary(
            self._target.GetAttempts, request, timeout
        )
        return response

    async def list_models(
        self, request: providers_pb.ListModelsRequest, timeout: float
    ) -> providers_pb.ListModelsResponse:
        response: providers_pb.ListModelsResponse = await self._invoker.unary(self._target.ListModels, request, timeout)
        return response
