"""Checks cached answers off the callers' path: asks the model again, compares, and reports to the cache."""

from __future__ import annotations

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis import call_context
from services.chassis.errors import ServiceError
from services.router.learning.metrics import LearningMetrics
from services.router.learning.same_answer import agreement
from services.router.learning.shadow import Purse, Shadow
from services.router.payment import pay_failed
from services.router.peers import CachePeer, ProvidersPeer

_ASK_SECONDS, _REPORT_SECONDS = 60.0, 5.0


class HitChecks:
    """Checks what the cache asks to check."""

    def __init__(self, shadow: Shadow, cache: CachePeer, providers: ProvidersPeer, metrics: LearningMetrics) -> None:
        self._shadow = shadow
        self._cache = cache
        self._providers = providers
        self._metrics = metrics

    def check(self, query: cache_pb.Query, served: cache_pb.LookUpResponse) -> None:
        """Have an answer checked, for the tenant that this task works for."""
        request_id = call_context.current().request_id or call_context.new_request_id()

        async def work(purse: Purse) -> str:
            return await self._checked(query, served, request_id, purse)

        self._shadow.add(work, self._metrics.hit_check)

    async def _checked(
        self, query: cache_pb.Query, served: cache_pb.LookUpResponse, request_id: str, purse: Purse
    ) -> str:
        expected = served.reply.cost
        if not expected.priced or expected.nanousd > purse.left:  # without a price it is not free
            return "budget"
        request = providers_pb.GenerateRequest()
        generation = request.generation
        generation.model = served.reply.model
        generation.conversation.CopyFrom(query.conversation)
        generation.region_tags.extend(query.region_tags)
        generation.request_id, generation.purpose = request_id, attempt_pb2.PURPOSE_SHADOW
        try:
            fresh = await self._providers.generate(request, _ASK_SECONDS)
        except ServiceError as failure:
            pay_failed(purse, failure, expected_nanousd=expected.nanousd)
            raise
        purse.attempted(fresh.end.attempts)
        verdict = cache_pb.ReportHitRequest.VERDICT_UNKNOWN
        if fresh.end.finish_reason == chat_pb2.FINISH_REASON_STOP:
            verdict = agreement(_text(served.reply.message), _text(fresh.message))
        report = cache_pb.ReportHitRequest(
            entry_id=served.entry_id, query=query, verdict=verdict, check_probability=served.check_probability
        )
        await self._cache.report_hit(report, _REPORT_SECONDS)
        return cache_pb.ReportHitRequest.Verdict.Name(verdict).removeprefix("VERDICT_").lower()


def _text(message: chat_pb2.Message) -> str:
    return "\n".join(part.text for part in message.parts if part.HasField("text"))
