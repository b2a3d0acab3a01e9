"""The journey of one call for vectors: resolve -> encode -> send -> read -> meter -> book.

As with answers, whatever happens after sending is an attempt, and every attempt is booked exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.clock import Clock
from services.chassis.errors import InvalidRequest, ProviderUnavailable
from services.providers import meter
from services.providers.adapters import EmbeddingsAdapter, WireFormat
from services.providers.endpoints import Directory
from services.providers.exchange import Exchange, Sender, named
from services.providers.ledger import Attempts
from services.providers.transport import Transport


class Embedder:
    """Asks embedding models. `directory` gives the endpoints as they are now, `formats` what they speak."""

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        formats: Mapping[WireFormat, EmbeddingsAdapter],
        transport: Transport,
        attempts: Attempts,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._formats = formats
        self._sender = Sender(transport=transport, attempts=attempts, clock=clock)
        self._clock = clock

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """All vectors. A failure carries AttemptsFailed."""
        exchange, adapter = self._prepare(request)
        try:
            async with await self._sender.send(exchange) as answering:
                body = await answering.body()
            embedded = adapter.read(body, texts=len(request.texts), dimensions=_dimensions(request))
        except Exception as failure:
            raise self._failed(exchange, failure) from failure
        except BaseException:
            # Nobody waits any more. The provider has the request, and may bill it.
            self._sender.book(exchange, attempt_pb2.ATTEMPT_OUTCOME_CANCELLED, _estimate(request), error=None)
            raise
        exchange.upstream_id = embedded.upstream_id
        usage = embedded.usage or _estimate(request)
        attempt = self._sender.book(exchange, attempt_pb2.ATTEMPT_OUTCOME_OK, usage, error=None)
        return pb.EmbedResponse(
            embeddings=[pb.Embedding(values=vector) for vector in embedded.vectors], attempts=[attempt]
        )

    def _prepare(self, request: pb.EmbedRequest) -> tuple[Exchange, EmbeddingsAdapter]:
        directory = self._directory()
        model = directory.resolve(request.model)
        if not model.embeds:
            raise InvalidRequest(field="model", problem="names a model that makes no vectors")
        endpoint = directory.endpoint_for(model.id)
        adapter = self._formats[endpoint.format]
        encoded = adapter.encode(request.texts, endpoint.target(model), dimensions=_dimensions(request))
        exchange = Exchange(
            operation="embeddings",
            model=model.id,
            endpoint=endpoint,
            price=directory.price(model.id, endpoint),
            headers=adapter.headers(endpoint.key.reveal() if endpoint.key else "", endpoint.quirks),
            path=encoded.path,
            body=encoded.body,
            stream=False,
            purpose=attempt_pb2.PURPOSE_ANSWER,
            request_id=request.request_id,
            call_id=request.call_id,
            started_wall=datetime.fromtimestamp(self._clock.wall(), UTC),
            started=self._clock.monotonic(),
        )
        return exchange, adapter

    def _failed(self, exchange: Exchange, failure: Exception) -> Exception:
        """Book the attempt, and say what its failure means."""
        meaning, error = named(failure, exchange), None
        if meaning is not None:
            cause, error = meaning
            error = error or ProviderUnavailable(provider=exchange.endpoint.name, cause=cause, provider_type=cause)
        attempt = self._sender.book(exchange, attempt_pb2.ATTEMPT_OUTCOME_FAILED, chat_pb2.Usage(), error=error)
        if error is None:
            return failure
        error.details = (attempt_pb2.AttemptsFailed(attempts=[attempt]),)
        return error


def _dimensions(request: pb.EmbedRequest) -> int | None:
    return request.dimensions if request.HasField("dimensions") else None


def _estimate(request: pb.EmbedRequest) -> chat_pb2.Usage:
    """Our count of the texts alone, where the provider reported none."""
    return meter.estimated(sum(len(text.encode()) for text in request.texts), 0)
