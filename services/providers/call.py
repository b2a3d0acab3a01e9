"""The journey of one call to a model: resolve -> encode -> send -> read -> meter -> book.

Whatever happens after sending is an attempt, and every attempt is booked exactly once: complete, failed, interrupted,
or cancelled because nobody waits any more.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.clock import Clock
from services.chassis.errors import InvalidRequest, ProviderUnavailable, ServiceError, StreamInterrupted
from services.providers import meter
from services.providers.adapters import Adapter, Ending, MalformedAnswer, Reading, WireFormat
from services.providers.endpoints import Directory
from services.providers.exchange import Exchange, Sender, named
from services.providers.ledger import Attempts
from services.providers.sse import EventStream
from services.providers.transport import Answering, Transport


@dataclass(slots=True, kw_only=True)
class _Call(Exchange):
    """One attempt to get an answer, while it runs."""

    degradations: Sequence[chat_pb2.Degradation]
    reading: Reading
    committed: bool = False
    ending: Ending | None = None
    deltas: int = 0


class Caller:
    """Calls models. `directory` gives the endpoints as they are now, `formats` the wire formats that they speak."""

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        formats: Mapping[WireFormat, Adapter],
        transport: Transport,
        attempts: Attempts,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._formats = formats
        self._sender = Sender(transport=transport, attempts=attempts, clock=clock)
        self._clock = clock

    async def generate(self, generation: pb.Generation) -> pb.GenerateResponse:
        """The whole answer. A failure carries AttemptsFailed."""
        call = self._prepare(generation, stream=False)
        try:
            async with await self._sender.send(call) as answering:
                body = await answering.body()
                call.reading.whole(body)
            parts, call.ending = call.reading.finish()
            self._counted(call, parts)
            message = call.reading.message()
            if not message.parts and not call.ending.complete:
                raise MalformedAnswer("empty")
        except Exception as failure:
            raise self._failed(call, failure) from failure
        except BaseException:
            self._given_up(call)
            raise
        return pb.GenerateResponse(message=message, end=self._end(call))

    async def stream(self, generation: pb.Generation) -> AsyncGenerator[pb.StreamGenerateResponse, None]:
        """The answer as it comes; what arrives together travels together. A failure carries AttemptsFailed."""
        call = self._prepare(generation, stream=True)
        try:
            async with await self._sender.send(call) as answering, aclosing(self._read(call, answering)) as pieces:
                async for parts in pieces:
                    yield pb.StreamGenerateResponse(delta=self._delta(call, parts))
            parts, call.ending = call.reading.finish()
            if not call.ending.complete:
                raise MalformedAnswer("stream_truncated")
            if parts:
                yield pb.StreamGenerateResponse(delta=self._delta(call, self._counted(call, parts)))
        except Exception as failure:
            raise self._failed(call, failure) from failure
        except BaseException:
            self._given_up(call)
            raise
        yield pb.StreamGenerateResponse(end=self._end(call))

    def _prepare(self, generation: pb.Generation, *, stream: bool) -> _Call:
        directory = self._directory()
        model = directory.resolve(generation.model)
        if model.embeds:
            raise InvalidRequest(field="generation.model", problem="names a model that answers no conversation")
        endpoint = directory.endpoint_for(model.id)
        adapter, target = self._formats[endpoint.format], endpoint.target(model)
        encoded = adapter.encode(generation.conversation, target, stream=stream)
        return _Call(
            operation="chat",
            model=model.id,
            endpoint=endpoint,
            price=directory.price(model.id, endpoint),
            headers=adapter.headers(endpoint.key.reveal() if endpoint.key else "", endpoint.quirks),
            path=encoded.path,
            body=encoded.body,
            stream=stream,
            degradations=encoded.degradations,
            reading=adapter.reading(model=model.id),
            purpose=generation.purpose or attempt_pb2.PURPOSE_ANSWER,
            request_id=generation.request_id,
            call_id=generation.call_id,
            started_wall=datetime.fromtimestamp(self._clock.wall(), UTC),
            started=self._clock.monotonic(),
        )

    async def _read(self, call: _Call, answering: Answering) -> AsyncGenerator[Sequence[chat_pb2.PartDelta], None]:
        """What each chunk of bytes adds to the answer."""
        events = EventStream()
        async with aclosing(answering.chunks()) as chunks:
            async for chunk in chunks:
                if parts := [part for data in events.feed(chunk) for part in call.reading.event(data)]:
                    yield self._counted(call, parts)
        for data in events.end():
            with suppress(MalformedAnswer):  # half an event: the answer was cut, and finish() will say so
                if parts := list(call.reading.event(data)):
                    yield self._counted(call, parts)

    def _counted(self, call: _Call, parts: Sequence[chat_pb2.PartDelta]) -> Sequence[chat_pb2.PartDelta]:
        if call.first_token is None:
            call.first_token = self._clock.monotonic()
        return parts

    def _delta(self, call: _Call, parts: Sequence[chat_pb2.PartDelta]) -> chat_pb2.Delta:
        call.committed = True
        call.deltas += 1
        return chat_pb2.Delta(index=call.deltas - 1, parts=parts)

    def _end(self, call: _Call) -> pb.GenerationEnd:
        assert call.ending is not None  # noqa: S101 - only a read answer gets here
        usage = call.ending.usage or self._estimate(call)
        attempt = self._book(call, attempt_pb2.ATTEMPT_OUTCOME_OK, usage, error=None)
        return pb.GenerationEnd(
            finish_reason=call.ending.finish_reason, attempts=[attempt], degradations=call.degradations
        )

    def _failed(self, call: _Call, failure: Exception) -> Exception:
        """Book the attempt, and say what its failure means."""
        error = self._translated(call, failure)
        if call.reading.output_bytes:
            outcome, usage = attempt_pb2.ATTEMPT_OUTCOME_INTERRUPTED, self._estimate(call)
        else:
            outcome, usage = attempt_pb2.ATTEMPT_OUTCOME_FAILED, chat_pb2.Usage()
        attempt = self._book(call, outcome, usage, error=error)
        if error is None:
            return failure
        error.details = (attempt_pb2.AttemptsFailed(attempts=[attempt]),)
        return error

    def _given_up(self, call: _Call) -> None:
        """Nobody waits any more. The provider has the request, and may bill it."""
        self._book(call, attempt_pb2.ATTEMPT_OUTCOME_CANCELLED, self._estimate(call), error=None)

    def _translated(self, call: _Call, failure: Exception) -> ServiceError | None:
        """What a failure means; None: it is a mistake of ours."""
        meaning = named(failure, call)
        if meaning is None:
            return None
        name, (cause, error) = call.endpoint.name, meaning
        if call.committed:
            kind = error.metadata.get("provider_type", cause) if error else cause
            return StreamInterrupted(provider=name, cause=cause, provider_type=kind)
        return error or ProviderUnavailable(provider=name, cause=cause, provider_type=cause)

    def _estimate(self, call: _Call) -> chat_pb2.Usage:
        """What the provider reported before the end, else our count."""
        reported = call.ending.usage if call.ending else None
        return reported or meter.estimated(len(call.body), call.reading.output_bytes)

    def _book(
        self,
        call: _Call,
        outcome: attempt_pb2.AttemptOutcome.ValueType,
        usage: chat_pb2.Usage,
        *,
        error: ServiceError | None,
    ) -> attempt_pb2.Attempt:
        if call.ending:
            call.finish_word, call.upstream_id = call.ending.provider_finish_reason, call.ending.upstream_id
        return self._sender.book(call, outcome, usage, error=error)
