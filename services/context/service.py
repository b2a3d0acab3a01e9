"""The gRPC face of the context service: decode, delegate, encode."""

from __future__ import annotations

from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from services.chassis.errors import Unimplemented
from services.context.counting import Counting
from services.context.fit import Fitter
from services.context.validate import check_count


class ContextService(rpc.ContextServiceServicer):
    """Fits and counts. Memory and calibration are part of the contract and not served yet.

    Their methods say so themselves: the generated ones need a gRPC context, which a call inside one process has not.
    """

    def __init__(self, fitter: Fitter, counting: Counting) -> None:
        self._fitter = fitter
        self._counting = counting

    async def Fit(self, request: pb.FitRequest, context: object) -> pb.FitResponse:
        return await self._fitter.fit(request)

    async def CountTokens(self, request: pb.CountTokensRequest, context: object) -> pb.CountTokensResponse:
        check_count(request)
        counted = await self._counting.count(request.conversation, request.model)
        return pb.CountTokensResponse(count=counted.as_message(counted.total()))

    async def ReportUsage(self, request: pb.ReportUsageRequest, context: object) -> pb.ReportUsageResponse:
        raise Unimplemented(method="ReportUsage")

    async def Remember(self, request: pb.RememberRequest, context: object) -> pb.RememberResponse:
        raise Unimplemented(method="Remember")

    async def Recall(self, request: pb.RecallRequest, context: object) -> pb.RecallResponse:
        raise Unimplemented(method="Recall")

    async def Forget(self, request: pb.ForgetRequest, context: object) -> pb.ForgetResponse:
        raise Unimplemented(method="Forget")

    async def Expand(self, request: pb.ExpandRequest, context: object) -> pb.ExpandResponse:
        raise Unimplemented(method="Expand")
