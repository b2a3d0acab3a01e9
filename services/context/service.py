"""The gRPC face of the context service: decode, delegate, encode."""

from __future__ import annotations

from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from services.chassis import call_context
from services.context.calibrations import Calibrations, read_ref
from services.context.counting import Counting
from services.context.cut_turns import CutTurns
from services.context.decode import texts_of
from services.context.fit import Fitter
from services.context.memory import DEFAULT_LIMIT, Memory
from services.context.ranks import Encodings
from services.context.validate import (
    check_count,
    check_decode,
    check_expand,
    check_forget,
    check_recall,
    check_remember,
)


class ContextService(rpc.ContextServiceServicer):
    """Each method checks its request and hands on to its journey."""

    def __init__(
        self,
        fitter: Fitter,
        counting: Counting,
        memory: Memory,
        cut_turns: CutTurns,
        calibrations: Calibrations,
        encodings: Encodings,
    ) -> None:
        self._fitter = fitter
        self._counting = counting
        self._memory = memory
        self._cut_turns = cut_turns
        self._calibrations = calibrations
        self._encodings = encodings

    async def Fit(self, request: pb.FitRequest, context: object) -> pb.FitResponse:
        return await self._fitter.fit(request)

    async def CountTokens(self, request: pb.CountTokensRequest, context: object) -> pb.CountTokensResponse:
        check_count(request)
        counted = await self._counting.count(request.conversation, request.model, request.wire_format)
        return pb.CountTokensResponse(count=counted.as_message(counted.total()), count_ref=counted.ref())

    async def DecodeTokens(self, request: pb.DecodeTokensRequest, context: object) -> pb.DecodeTokensResponse:
        check_decode(request)
        texts = await self._counting.off_loop(texts_of, self._encodings, request.rows)
        return pb.DecodeTokensResponse(texts=texts)

    async def ReportUsage(self, request: pb.ReportUsageRequest, context: object) -> pb.ReportUsageResponse:
        reference = read_ref(request.count_ref)
        calibration = await self._counting.off_loop(self._calibrations.report, reference, request.usage)
        return pb.ReportUsageResponse(calibration_version=calibration.version)

    async def Remember(self, request: pb.RememberRequest, context: object) -> pb.RememberResponse:
        check_remember(request)
        return await self._memory.remember(_tenant(), request)

    async def Recall(self, request: pb.RecallRequest, context: object) -> pb.RecallResponse:
        check_recall(request)
        limit = request.limit or DEFAULT_LIMIT
        found = await self._memory.recall(_tenant(), request.conversation_id, request.query, limit)
        response = pb.RecallResponse(items=[item.as_message(score) for item, score in found.items])
        if found.degraded:
            response.degradations.add(kind=found.degraded, subject="memory")
        return response

    async def Forget(self, request: pb.ForgetRequest, context: object) -> pb.ForgetResponse:
        check_forget(request)
        return await self._memory.forget(_tenant(), request)

    async def Expand(self, request: pb.ExpandRequest, context: object) -> pb.ExpandResponse:
        check_expand(request)
        return await self._cut_turns.expand(_tenant(), request.handles)


def _tenant() -> str:
    return call_context.current().caller.tenant
