"""The router's peers as small real objects: they play what a test wrote down, and remember what they were asked.

A script of the providers is a list of steps: a text or PartDeltas to say, an Event to wait for, an error to raise, a
GenerationEnd to close with. The same script answers `generate` and `stream_generate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.errors import ServiceError
from services.router.collect import Collector
from services.router.peers import CachePeer, ContextPeer, ProvidersPeer

Step = str | Sequence[chat_pb2.PartDelta] | asyncio.Event | ServiceError | providers_pb.GenerationEnd


class ScriptedCache(CachePeer):
    """Misses, unless `hit` holds a reply or `failing` an error. `gate` holds look-ups up until it is set."""

    def __init__(self) -> None:
        self.hit: cache_pb.CachedReply | None = None
        self.failing: ServiceError | None = None
        self.gate: asyncio.Event | None = None
        self.looked_up: list[cache_pb.LookUpRequest] = []
        self.stored: list[cache_pb.StoreRequest] = []
        self.invalidated: list[cache_pb.InvalidateRequest] = []
        self.stats = cache_pb.GetStatsResponse()
        self.reported: list[cache_pb.ReportHitRequest] = []
        # The vectors of texts.
        self.vectors: dict[str, cache_pb.Vector] = {}
        # What the next look-ups answer, one each, before anything else.
        self.answers: list[cache_pb.LookUpResponse] = []

    async def look_up(self, request: cache_pb.LookUpRequest, timeout: float) -> cache_pb.LookUpResponse:
        self.looked_up.append(request)
        if self.answers:
            return self.answers.pop(0)
        if self.gate is not None:
            await self.gate.wait()
        self._fail()
        if self.hit is None:
            return cache_pb.LookUpResponse(outcome=cache_pb.CACHE_OUTCOME_MISS)
        return cache_pb.LookUpResponse(outcome=cache_pb.CACHE_OUTCOME_EXACT_HIT, reply=self.hit, entry_id="entry-1")

    async def store(self, request: cache_pb.StoreRequest, timeout: float) -> cache_pb.StoreResponse:
        self._fail()
        self.stored.append(request)
        return cache_pb.StoreResponse(stored=True)

    async def embed_texts(self, request: cache_pb.EmbedTextsRequest, timeout: float) -> cache_pb.EmbedTextsResponse:
        self._fail()
        vectors = [self.vectors.get(text, cache_pb.Vector()) for text in request.texts]
        return cache_pb.EmbedTextsResponse(embeddings=vectors)

    async def report_hit(self, request: cache_pb.ReportHitRequest, timeout: float) -> cache_pb.ReportHitResponse:
        self._fail()
        self.reported.append(request)
        return cache_pb.ReportHitResponse(threshold=0.9)

    async def invalidate(self, request: cache_pb.InvalidateRequest, timeout: float) -> cache_pb.InvalidateResponse:
        self._fail()
        self.invalidated.append(request)
        return cache_pb.InvalidateResponse(entries=3)

    async def get_stats(self, request: cache_pb.GetStatsRequest, timeout: float) -> cache_pb.GetStatsResponse:
        self._fail()
        return self.stats

    def _fail(self) -> None:
        if self.failing is not None:
            raise self.failing


class ScriptedContext(ContextPeer):
    """Keeps the last `keep` messages, or raises `failing`."""

    def __init__(self, *, keep: int = 1) -> None:
        self.keep = keep
        self.failing: ServiceError | None = None
        self.asked: list[context_pb.FitRequest] = []
        self.reported: list[context_pb.ReportUsageRequest] = []
        self.remembered: list[context_pb.RememberRequest] = []

    async def fit(self, request: context_pb.FitRequest, timeout: float) -> context_pb.FitResponse:
        self.asked.append(request)
        self._fail()
        messages = list(request.conversation.messages)
        kept = messages[-self.keep :]
        dropped = len(messages) - len(kept)
        return context_pb.FitResponse(
            messages=kept,
            before=context_pb.TokenCount(upper_bound=100 * len(messages)),
            after=context_pb.TokenCount(upper_bound=100 * len(kept)),
            decisions=[
                context_pb.UnitDecision(first_message=0, messages=dropped, kept=False),
                context_pb.UnitDecision(first_message=dropped, messages=len(kept), kept=True),
            ],
            policy=context_pb.FIT_POLICY_WINDOW,
            count_ref=f"counted for {request.model}",
        )

    async def report_usage(
        self, request: context_pb.ReportUsageRequest, timeout: float
    ) -> context_pb.ReportUsageResponse:
        self._fail()
        self.reported.append(request)
        return context_pb.ReportUsageResponse(calibration_version="1")

    async def remember(self, request: context_pb.RememberRequest, timeout: float) -> context_pb.RememberResponse:
        self._fail()
        self.remembered.append(request)
        return context_pb.RememberResponse(ids=[f"mem-{n}" for n in range(len(request.items))])

    def _fail(self) -> None:
        if self.failing is not None:
            raise self.failing


class ScriptedProviders(ProvidersPeer):
    """Plays the scripts of a model one call after the other; the last one again and again."""

    def __init__(self, models: Iterable[model_pb2.Model] = ()) -> None:
        self.models = list(models)
        self.scripts: dict[str, list[list[Step]]] = {}
        self.failing: ServiceError | None = None
        self.asked: list[providers_pb.Generation] = []
        # What the calls carried beside their messages.
        self.seen: list[CallContext] = []
        self.listed = 0
        # What is booked for every call that was given up; nothing: it is not over yet.
        self.booked: list[attempt_pb2.Attempt] = []
        self.over = False
        self.asked_for: list[str] = []
        self.embedded: list[providers_pb.EmbedRequest] = []
        self.embedding: BaseException | asyncio.Event | None = None
        # Calls that were given up before their end, and what hanging up waits for.
        self.hung_up = 0
        self.slow_to_hang_up: asyncio.Event | None = None

    def play(self, model: str, *scripts: Sequence[Step]) -> None:
        """What `model` does, call by call."""
        self.scripts[model] = [list(script) for script in scripts]

    async def generate(self, request: providers_pb.GenerateRequest, timeout: float) -> providers_pb.GenerateResponse:
        collector, end = Collector(), None
        same = providers_pb.StreamGenerateRequest(generation=request.generation)
        async with aclosing(self.stream_generate(same, timeout)) as events:
            async for event in events:
                if event.HasField("end"):
                    end = event.end
                else:
                    collector.apply(event.delta)
        return providers_pb.GenerateResponse(message=collector.message(), end=end)

    async def stream_generate(
        self, request: providers_pb.StreamGenerateRequest, timeout: float
    ) -> AsyncGenerator[providers_pb.StreamGenerateResponse, None]:
        generation = request.generation
        self.asked.append(generation)
        self.seen.append(call_context.current())
        scripts = self.scripts.get(generation.model) or [answer("fine", model=generation.model)]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        complete = False
        try:
            for step in script:
                match step:
                    case ServiceError():
                        complete = True
                        raise step
                    case asyncio.Event():
                        await step.wait()
                    case providers_pb.GenerationEnd():
                        yield providers_pb.StreamGenerateResponse(end=step)
                    case str():
                        yield _delta([chat_pb2.PartDelta(text=step)])
                    case _:
                        yield _delta(step)
            complete = True
        finally:
            self.hung_up += not complete
            if not complete and self.slow_to_hang_up is not None:
                await self.slow_to_hang_up.wait()

    async def embed(self, request: providers_pb.EmbedRequest, timeout: float) -> providers_pb.EmbedResponse:
        """A vector of the length of each text; or what `embedding` says: an error, or an event to wait for."""
        self.embedded.append(request)
        self.seen.append(call_context.current())
        match self.embedding:
            case BaseException():
                raise self.embedding
            case asyncio.Event():
                await self.embedding.wait()
        vectors = [providers_pb.Embedding(values=[float(len(text))]) for text in request.texts]
        usage = chat_pb2.Usage(input_uncached_tokens=10)
        return providers_pb.EmbedResponse(embeddings=vectors, attempts=[attempt(request.model, usage=usage)])

    async def get_attempts(
        self, request: providers_pb.GetAttemptsRequest, timeout: float
    ) -> providers_pb.GetAttemptsResponse:
        self.asked_for.append(request.call_id)
        return providers_pb.GetAttemptsResponse(attempts=self.booked, over=self.over or bool(self.booked))

    async def list_models(
        self, request: providers_pb.ListModelsRequest, timeout: float
    ) -> providers_pb.ListModelsResponse:
        self.listed += 1
        if self.failing is not None:
            raise self.failing
        version = f"v{len(self.models)}"
        models = [] if request.known_version == version else self.models
        return providers_pb.ListModelsResponse(models=models, version=version)


def attempt(
    model: str = "",
    *,
    cost: int = 700,
    priced: bool = True,
    reason: str = "",
    usage: chat_pb2.Usage | None = None,
    simulated: bool = False,
) -> attempt_pb2.Attempt:
    """An attempt as the providers service books it."""
    return attempt_pb2.Attempt(
        number=1,
        model=model,
        endpoint="somewhere",
        outcome=attempt_pb2.ATTEMPT_OUTCOME_FAILED if reason else attempt_pb2.ATTEMPT_OUTCOME_OK,
        error_reason=reason,
        usage=usage or chat_pb2.Usage(input_uncached_tokens=10, output_tokens=5),
        cost=chat_pb2.Cost(nanousd=cost, priced=priced),
        simulated=simulated,
    )


def end(
    model: str = "",
    *,
    finish: chat_pb2.FinishReason.ValueType = chat_pb2.FINISH_REASON_STOP,
    attempts: Sequence[attempt_pb2.Attempt] = (),
) -> providers_pb.GenerationEnd:
    """The end of a complete answer."""
    return providers_pb.GenerationEnd(finish_reason=finish, attempts=attempts or [attempt(model)])


def answer(*pieces: str, model: str = "") -> list[Step]:
    """A script: these pieces, then the end."""
    return [*pieces, end(model)]


def failed(kind: type[ServiceError], model: str = "", *, cost: int = 0, **metadata: str) -> ServiceError:
    """An error of the providers service with the attempt that it booked."""
    booked = attempt_pb2.AttemptsFailed(attempts=[attempt(model, cost=cost, reason=kind.reason())])
    error = kind(details=[booked])
    error.metadata = metadata
    return error


def _delta(parts: Sequence[chat_pb2.PartDelta]) -> providers_pb.StreamGenerateResponse:
    return providers_pb.StreamGenerateResponse(delta=chat_pb2.Delta(parts=parts))
