"""How many tokens a conversation takes, as Anthropic's clients ask: https://docs.anthropic.com/en/api/messages-count-tokens

No model is asked: the context service counts, and says its best guess.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import orjson

from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import NoCandidateLeft
from services.router.admit import AUTO
from services.router.catalog import CatalogueKeeper
from services.router.edge import headers, values
from services.router.edge.exchange import Exchange
from services.router.pipeline import Pipeline

Count = Callable[[context_pb.CountTokensRequest, float], Awaitable[context_pb.CountTokensResponse]]
_SECONDS = 5.0
# The format asks without it, and its reader wants one.
_ANY_LIMIT = {"max_tokens": 1}


class CountTokens:
    """The handler of POST /v1/messages/count_tokens."""

    def __init__(self, count: Count, catalogue: CatalogueKeeper, pipeline: Pipeline) -> None:
        self._count = count
        self._catalogue = catalogue
        self._pipeline = pipeline

    async def answer(self, exchange: Exchange, said: dict[str, str], body: bytes) -> None:
        """Answer. Raises ServiceError and Refused."""
        document = values.document(body)
        exchange.placed = partial(exchange.dialect.place, document)
        request = exchange.dialect.read(_ANY_LIMIT | document).request
        headers.apply(said, request.options)
        asked = context_pb.CountTokensRequest(conversation=request.conversation, model=await self._model(request))
        counted = await self._count(asked, _SECONDS)
        more = [(b"x-omnisphere-model", asked.model.encode("ascii", "replace"))]
        await exchange.reply(200, more, orjson.dumps({"input_tokens": counted.count.estimate}))

    async def _model(self, request: pb.CompleteRequest) -> str:
        """The one that is named, else the one that would be asked first."""
        if request.model not in ("", AUTO):
            return (await self._catalogue.needed()).answering(request.model).id
        explained = pb.ExplainRequest(conversation=request.conversation, options=request.options)
        decision = (await self._pipeline.explain(explained)).decision
        planned = [candidate.model for candidate in decision.candidates if not candidate.dropped]
        if not (planned or decision.model):
            raise NoCandidateLeft(attempts="")
        return decision.model or planned[0]
