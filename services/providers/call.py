"""The journey of one call to a model: resolve -> pick -> encode -> send -> read -> meter -> book, and again.

Whatever happens after sending is an attempt, and every attempt is booked exactly once: complete, failed, interrupted,
or cancelled because nobody waits any more. A stream is retried until its first piece is handed out, and never after.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import InvalidRequest, NoEndpoint, ServiceError, StreamInterrupted
from services.providers import meter
from services.providers.adapters import Adapter, Ending, Framing, MalformedAnswer, Reading, WireFormat
from services.providers.affinity import beginning_of
from services.providers.endpoints import Directory, ModelRow
from services.providers.exchange import Exchange, Sender, named
from services.providers.ndjson import LineStream
from services.providers.picker import Need, Pick
from services.providers.pricing import Pricing
from services.providers.sse import EventStream
from services.providers.transport import Answering
from services.providers.tries import Trier, Tries

_Pieces = AsyncGenerator[Sequence[chat_pb2.PartDelta], None]


@dataclass(slots=True, kw_only=True)
class _Call(Exchange):
    """One attempt to get an answer, while it runs."""

    degradations: Sequence[chat_pb2.Degradation]
    framing: Framing
    reading: Reading
    committed: bool = False
    ending: Ending | None = None


class Caller:
    """Calls models. `directory` gives the endpoints as they are now, `formats` the wire formats that they speak."""

    def __init__(
        self,
        directory: Callable[[], Directory],
        formats: Mapping[WireFormat, Adapter],
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

    async def generate(self, generation: pb.Generation) -> pb.GenerateResponse:
        """The whole answer. A failure carries AttemptsFailed."""
        directory, model, tries = self._resolved(generation, stream=False)
        begin = partial(self._begun, directory, model, tries, generation.conversation)
        return await self._trier.run(tries, lambda pick: self._whole(begin, pick))

    async def stream(self, generation: pb.Generation) -> AsyncGenerator[pb.StreamGenerateResponse, None]:
        """The answer as it comes; what arrives together travels together. A failure carries AttemptsFailed."""
        directory, model, tries = self._resolved(generation, stream=True)
        begin = partial(self._begun, directory, model, tries, generation.conversation)
        call, pieces, first = await self._trier.run(tries, lambda pick: self._opened(begin, pick))
        index = 0
        try:
            async with aclosing(pieces):
                parts = first
                while parts is not None:
                    call.committed = True
                    yield pb.StreamGenerateResponse(delta=chat_pb2.Delta(index=index, parts=parts))
                    index += 1
                    parts = await anext(pieces, None)
        except ServiceError as failure:
            tries.tell(failure)
            raise
        response = pb.StreamGenerateResponse()
        _write_end(call, response.end)
        yield response

    def _resolved(self, generation: pb.Generation, *, stream: bool) -> tuple[Directory, ModelRow, Tries]:
        directory = self._directory()
        model = directory.resolve(generation.model)
        if model.embeds:
            raise InvalidRequest(field="generation.model", problem="names a model that answers no conversation")
        endpoints, conversation = self._pricing.endpoints(directory, model.id), generation.conversation
        if generation.region_tags:
            endpoints = [endpoint for endpoint in endpoints if endpoint.serves_in(generation.region_tags)]
            if not endpoints:
                raise NoEndpoint(model=model.id)
        alone = len(endpoints) == 1 and len(endpoints[0].keys) < 2
        tenant = call_context.current().caller.tenant
        need = Need(
            model=model.id,
            tokens=meter.tokens_guessed(conversation),
            stream=stream,
            beginning=b"" if alone else beginning_of(tenant, model.id, conversation),
            avoid=frozenset(generation.avoid_endpoints),
        )
        tries = Tries(
            operation="chat",
            endpoints=endpoints,
            need=need,
            purpose=generation.purpose or attempt_pb2.PURPOSE_ANSWER,
            request_id=generation.request_id,
            call_id=generation.call_id,
        )
        return directory, model, tries

    def _begun(
        self, directory: Directory, model: ModelRow, tries: Tries, conversation: chat_pb2.Conversation, pick: Pick
    ) -> _Call:
        """The attempt, written out for the endpoint that was picked. Raises InvalidRequest."""
        endpoint, key = pick.endpoint, pick.key
        adapter = self._formats[endpoint.format]
        try:
            encoded = adapter.encode(conversation, directory.target(model, endpoint), stream=tries.need.stream)
        except BaseException:
            self._sender.never_sent(pick)
            raise
        return _Call(
            tries=tries,
            pick=pick,
            price=self._pricing.price(directory, model.id, endpoint),
            headers=adapter.headers(key.secret.reveal() if key else "", endpoint.quirks),
            path=encoded.path,
            body=encoded.body,
            degradations=encoded.degradations,
            framing=adapter.framing,
            reading=adapter.reading(model=model.id),
            started_wall=datetime.fromtimestamp(self._clock.wall(), UTC),
            started=self._clock.monotonic(),
        )

    async def _whole(self, begin: Callable[[Pick], _Call], pick: Pick) -> pb.GenerateResponse:
        call = begin(pick)
        try:
            with await self._sender.send(call) as answering:
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
        self._done(call)
        response = pb.GenerateResponse()
        response.message.CopyFrom(message)
        _write_end(call, response.end)
        return response

    async def _opened(
        self, begin: Callable[[Pick], _Call], pick: Pick
    ) -> tuple[_Call, _Pieces, Sequence[chat_pb2.PartDelta] | None]:
        """A stream that has begun: the rest of its pieces, and the first; None: it is complete, and empty."""
        call = begin(pick)
        pieces = self._pieces(call)
        return call, pieces, await anext(pieces, None)

    async def _pieces(self, call: _Call) -> _Pieces:
        """The pieces of one stream, as they come. At its end the attempt is booked, however it ended."""
        try:
            with await self._sender.send(call) as answering:
                async with aclosing(self._read(call, answering)) as pieces:
                    async for parts in pieces:
                        yield parts
            parts, call.ending = call.reading.finish()
            if not call.ending.complete:
                raise MalformedAnswer("stream_truncated")
            if parts:
                yield self._counted(call, parts)
        except Exception as failure:
            raise self._failed(call, failure) from failure
        except BaseException:
            self._given_up(call)
            raise
        self._done(call)

    async def _read(self, call: _Call, answering: Answering) -> _Pieces:
        """What each chunk of bytes adds to the answer."""
        kind = answering.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            raise MalformedAnswer
        if kind == "application/json" and call.framing == "sse":  # no stream after all: an error, or the whole answer
            call.reading.whole(await answering.body())
            return
        documents = EventStream() if call.framing == "sse" else LineStream()
        async with aclosing(answering.chunks()) as chunks:
            async for chunk in chunks:
                for parts in _read(documents.feed(chunk), call.reading):
                    if parts:
                        answering.patience.begun(self._clock.monotonic())
                        yield self._counted(call, parts)
                    answering.patience.progressed(self._clock.monotonic())
        with suppress(MalformedAnswer):  # half an event: the answer was cut, and finish() will say so
            for parts in _read(documents.end(), call.reading):
                if parts:
                    yield self._counted(call, parts)

    def _counted(self, call: _Call, parts: Sequence[chat_pb2.PartDelta]) -> Sequence[chat_pb2.PartDelta]:
        if call.first_token is None:
            call.first_token = self._clock.monotonic()
        return parts

    def _failed(self, call: _Call, failure: Exception) -> Exception:
        """Book the attempt, and say what its failure means."""
        error = self._translated(call, failure)
        if call.reading.output_bytes:
            outcome, usage = attempt_pb2.ATTEMPT_OUTCOME_INTERRUPTED, self._estimate(call)
        else:  # an answer of nothing may be billed all the same
            outcome, usage = attempt_pb2.ATTEMPT_OUTCOME_FAILED, call.reading.billed or chat_pb2.Usage()
        self._book(call, outcome, usage, error=error)
        return failure if error is None else error

    def _done(self, call: _Call) -> None:
        assert call.ending is not None  # noqa: S101 - only a read answer gets here
        self._book(call, attempt_pb2.ATTEMPT_OUTCOME_OK, call.ending.usage or self._estimate(call), error=None)

    def _given_up(self, call: _Call) -> None:
        """Nobody waits any more. The provider has the request, and may bill it."""
        self._book(call, attempt_pb2.ATTEMPT_OUTCOME_CANCELLED, self._estimate(call), error=None)

    def _translated(self, call: _Call, failure: Exception) -> ServiceError | None:
        """What a failure means; None: it is a mistake of ours."""
        name = call.endpoint.name
        begun = call.tries.need.stream and call.status == 200
        meaning = named(failure, provider=name, model=call.tries.need.model, in_stream=begun)
        if meaning is None:
            return None
        cause, error = meaning
        if call.committed:
            kind = error.metadata.get("provider_type", cause)
            return StreamInterrupted(provider=name, cause=cause, provider_type=kind)
        return error

    def _estimate(self, call: _Call) -> chat_pb2.Usage:
        """What the provider reported as its last word, else our count; of the input its own where it said that much."""
        if call.reading.billed is not None:
            return call.reading.billed
        return meter.estimated(len(call.body), call.reading.output_bytes, call.reading.usage)

    def _book(
        self,
        call: _Call,
        outcome: attempt_pb2.AttemptOutcome.ValueType,
        usage: chat_pb2.Usage,
        *,
        error: ServiceError | None,
    ) -> None:
        if call.ending:
            call.finish_word = call.ending.provider_finish_reason
        call.upstream_id, call.upstream_model = call.reading.upstream_id, call.reading.upstream_model
        self._sender.book(call, outcome, usage, error=error)


def _write_end(call: _Call, end: pb.GenerationEnd) -> None:
    """In place: half of what it costs to make it first and then copy it."""
    assert call.ending is not None  # noqa: S101 - only a read answer gets here
    end.finish_reason = call.ending.finish_reason
    for attempt in call.tries.attempts:
        end.attempts.add().CopyFrom(attempt)
    end.degradations.extend((*call.degradations, *call.ending.degradations))


def _read(documents: Iterable[str], reading: Reading) -> Iterator[Sequence[chat_pb2.PartDelta]]:
    """What the documents add to the answer, together; what came before one that is wrong is not lost."""
    parts: list[chat_pb2.PartDelta] = []
    came = False
    try:
        for document in documents:
            came = True
            parts += reading.event(document)
    except Exception:
        if parts:
            yield parts
        raise
    if came:
        yield parts
