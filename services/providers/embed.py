"""The journey of one call for vectors: resolve -> pick -> encode -> send -> read -> meter -> book, and again.

As with answers, whatever happens after sending is an attempt, and every attempt is booked exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.clock import Clock
from services.chassis.errors import InvalidRequest, NoEndpoint
from services.providers import meter
from services.providers.adapters import EmbeddingsAdapter, MalformedAnswer, Target, WireFormat
from services.providers.endpoints import Directory, ModelRow
from services.providers.exchange import Exchange, Sender, named
from services.providers.picker import Need, Pick
from services.providers.pricing import Pricing
from services.providers.tries import Trier, Tries

_TOO_MUCH = "are too many: their vectors are larger than one answer may be; send fewer at once"


class Embedder:
    """Asks embedding models. `directory` gives the endpoints as they are now, `formats` what they speak."""

    def __init__(
        self,
        directory: Callable[[], Directory],
        formats: Mapping[WireFormat, EmbeddingsAdapter],
        *,
        pricing: Pricing,
        sender: Sender,
        trier: Trier,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._pricing = pricing
        self._formats = formats
        self._sender = sender
        self._trier = trier
        self._clock = clock

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """All vectors. A failure carries AttemptsFailed."""
        directory = self._directory()
        model = directory.resolve(request.model)
        if not model.embeds:
            raise InvalidRequest(field="model", problem="names a model that makes no vectors")
        endpoints = [each for each in self._pricing.endpoints(directory, model.id) if each.format in self._formats]
        if not endpoints:
            raise NoEndpoint(model=model.id)
        tries = Tries(
            operation="embeddings",
            endpoints=endpoints,
            need=Need(model=model.id, tokens=_estimate(request).input_uncached_tokens, stream=False),
            purpose=attempt_pb2.PURPOSE_ANSWER,
            request_id=request.request_id,
            call_id=request.call_id,
        )
        return await self._trier.run(tries, lambda pick: self._once(directory, model, tries, request, pick))

    async def _once(
        self, directory: Directory, model: ModelRow, tries: Tries, request: pb.EmbedRequest, pick: Pick
    ) -> pb.EmbedResponse:
        adapter = self._formats[pick.endpoint.format]
        exchange = self._begun(directory, adapter, directory.target(model, pick.endpoint), tries, request, pick)
        try:
            with await self._sender.send(exchange) as answering:
                body = await answering.body()
            embedded = adapter.read(body, texts=len(request.texts), dimensions=_dimensions(request))
        except Exception as failure:
            raise self._failed(exchange, request, failure) from failure
        except BaseException:
            # Nobody waits any more. The provider has the request, and may bill it.
            self._sender.book(exchange, attempt_pb2.ATTEMPT_OUTCOME_CANCELLED, _estimate(request), error=None)
            raise
        exchange.upstream_id, exchange.upstream_model = embedded.upstream_id, embedded.upstream_model
        usage = embedded.usage or _estimate(request)
        self._sender.book(exchange, attempt_pb2.ATTEMPT_OUTCOME_OK, usage, error=None)
        return pb.EmbedResponse(
            embeddings=[pb.Embedding(values=vector) for vector in embedded.vectors], attempts=tries.attempts
        )

    def _begun(
        self,
        directory: Directory,
        adapter: EmbeddingsAdapter,
        target: Target,
        tries: Tries,
        request: pb.EmbedRequest,
        pick: Pick,
    ) -> Exchange:
        try:
            encoded = adapter.encode(request.texts, target, dimensions=_dimensions(request))
        except BaseException:
            self._sender.never_sent(pick)
            raise
        return Exchange(
            tries=tries,
            pick=pick,
            price=self._pricing.price(directory, target.model, pick.endpoint),
            headers=adapter.headers(pick.key.secret.reveal() if pick.key else "", pick.endpoint.quirks),
            path=encoded.path,
            body=encoded.body,
            started_wall=datetime.fromtimestamp(self._clock.wall(), UTC),
            started=self._clock.monotonic(),
        )

    def _failed(self, exchange: Exchange, request: pb.EmbedRequest, failure: Exception) -> Exception:
        """Book the attempt, and say what its failure means."""
        name, error, usage = exchange.endpoint.name, None, chat_pb2.Usage()
        if isinstance(failure, MalformedAnswer) and failure.billed is not None:
            usage = failure.billed
        meaning = named(failure, provider=name, model=exchange.tries.need.model)
        if meaning is not None:
            cause, error = meaning
            if cause == "too_large":
                # The provider did its work, and would be paid for it again: too much was asked for at once.
                error = InvalidRequest(field="texts", problem=_TOO_MUCH)
                usage = usage if meter.any_tokens(usage) else _estimate(request)
        self._sender.book(exchange, attempt_pb2.ATTEMPT_OUTCOME_FAILED, usage, error=error)
        return failure if error is None else error


def _dimensions(request: pb.EmbedRequest) -> int | None:
    return request.dimensions if request.HasField("dimensions") else None


def _estimate(request: pb.EmbedRequest) -> chat_pb2.Usage:
    """Our count of the texts alone, where the provider reported none."""
    return meter.estimated(sum(len(text.encode()) for text in request.texts), 0)
