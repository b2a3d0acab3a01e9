"""Answers a conversation over HTTP, whole or as a stream: read, call the pipeline, write."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial

import orjson

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import headers, values
from services.router.edge.dialect import Reading
from services.router.edge.exchange import Exchange
from services.router.pipeline import Delivery, Pipeline

_STREAM = Delivery(stream=True, restartable=False)


class Chat:
    """The handler of every chat format."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def answer(self, exchange: Exchange, said: dict[str, str], body: bytes) -> None:
        """Answer. Raises ServiceError and Refused."""
        document = values.document(body)
        exchange.placed = partial(exchange.dialect.place, document)
        reading = exchange.dialect.read(document)
        headers.apply(said, reading.request.options)
        reading.wants_decision = headers.wants_decision(said) or reading.wants_decision
        await (self._streamed if reading.stream else self._whole)(exchange, reading)

    async def _whole(self, exchange: Exchange, reading: Reading) -> None:
        response = await self._pipeline.complete(reading.request)
        body = orjson.dumps(exchange.dialect.whole(reading, response, exchange.request_id))
        await exchange.reply(200, headers.of_decision(response.decision), body)

    async def _streamed(self, exchange: Exchange, reading: Reading) -> None:
        """The head goes out with the first content: until then a failure is a status. An answer without a plan comes
        from the cache, all at once, so its head waits for the Decision."""
        writer = exchange.dialect.events(reading, exchange.request_id)
        plan: list[decision_pb2.Candidate] = []
        held: list[chat_pb2.PartDelta] = []
        end = pb.End()
        async with aclosing(self._pipeline.answer(reading.request, _STREAM)) as events:
            async for event in events:
                kind = event.WhichOneof("event")
                if kind == "end":
                    end = event.end  # an error may follow it
                elif kind == "started":
                    plan = list(event.started.plan)
                elif exchange.events is not None:
                    await exchange.more(writer.delta(event.delta.parts))
                elif plan:
                    exchange.placed = str  # what comes now is not about a place in the document, which may be large
                    await exchange.open(headers.of_plan(plan, event.delta.model), writer)
                    await exchange.more(
                        writer.opening(event.delta.model, from_cache=False) + writer.delta(event.delta.parts)
                    )
                else:
                    held.extend(event.delta.parts)
        first = b""
        if exchange.events is None:
            await exchange.open(headers.of_decision(end.decision), writer)
            first = writer.opening(end.decision.model, from_cache=True) + writer.delta(held)
        await exchange.last(first + writer.ending(end))
