"""The HTTP edge as a bare ASGI application: which path does what, how many at once, and what becomes of failures."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

import orjson

from services.chassis import call_context
from services.chassis.errors import Internal, MessageTooLarge, Overloaded, ServiceError, Unauthenticated
from services.chassis.logs import Log
from services.router.catalog import CatalogueKeeper
from services.router.edge import headers, models
from services.router.edge.anthropic_messages import AnthropicMessages
from services.router.edge.chat import Chat
from services.router.edge.count_tokens import CountTokens
from services.router.edge.dialect import Dialect
from services.router.edge.embeddings import Embeddings
from services.router.edge.errors import Refused
from services.router.edge.exchange import Exchange, Receive, Scope, Send
from services.router.edge.metrics import EdgeMetrics
from services.router.edge.openai_chat import OpenAIChat
from services.router.edge.openai_responses import OpenAIResponses

_OPENAI, _RESPONSES, _ANTHROPIC = OpenAIChat(), OpenAIResponses(), AnthropicMessages()
_MODELS = "/v1/models"
_RESPONSES_PATH = "/v1/responses"
# What the format would find again by its id.
_STORED = re.compile(rf"{_RESPONSES_PATH}/(?!(?:input_tokens|compact)$)[^/]+(?:/input_items|/cancel)?")
_ANTHROPIC_VERSION = b"anthropic-version"
_BEFORE_THE_PIPELINE = (MessageTooLarge, Overloaded, Unauthenticated)
# The pipeline keeps the deadline itself; this much later a caller who does not read what we send is left.
_MARGIN_SECONDS = 1.0
# Some libraries complete bare prompts unless they are told otherwise.
_BARE_COMPLETIONS = "/completions"
_GOING_DOWN = Refused(503, "this server is going down; another one may answer", code="shutting_down")


class State(StrEnum):
    """What /healthz says."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Route:
    """What a path does. `name` is its label in the metrics."""

    name: str
    method: Literal["GET", "POST"]
    kind: Literal["chat", "count", "embeddings", "models", "model"]


_ROUTES = {
    "/v1/chat/completions": Route("chat_completions", "POST", "chat"),
    _RESPONSES_PATH: Route("responses", "POST", "chat"),
    "/v1/messages": Route("messages", "POST", "chat"),
    "/v1/messages/count_tokens": Route("count_tokens", "POST", "count"),
    "/v1/embeddings": Route("embeddings", "POST", "embeddings"),
    _MODELS: Route("models", "GET", "models"),
}
_MODEL = Route("models", "GET", "model")


class Edge:
    """The application. Errors become answers here, and nowhere else."""

    def __init__(
        self,
        *,
        chat: Chat,
        counter: CountTokens,
        embeddings: Embeddings,
        catalogue: CatalogueKeeper,
        policies: Callable[[], Collection[str]],
        metrics: EdgeMetrics,
        log: Log,
        believes_tenant: bool,
        most_calls: int,
        deadline: float,
    ) -> None:
        self.state = State.STARTING
        self._chat = chat
        self._counter = counter
        self._embeddings = embeddings
        self._catalogue = catalogue
        self._policies = policies
        self._metrics = metrics
        self._log = log
        self._believes_tenant = believes_tenant
        self._most_calls = most_calls
        self._deadline = deadline
        self._in_flight = 0
        metrics.in_flight.set_function(lambda: self._in_flight)
        self._loop = asyncio.get_running_loop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        if path == "/healthz":
            await self._health(scope, receive, send)
            return
        route = _route(path)
        exchange = Exchange(scope, receive, send, _dialect(path, scope))
        exchange.closing = self.state is State.DRAINING
        started = time.monotonic()
        self._in_flight += 1
        try:
            await self._answer(exchange, route)
        finally:
            exchange.end()
            self._in_flight -= 1
            name = "other" if route is None else route.name
            self._metrics.count(name, exchange.status, time.monotonic() - started)

    async def _answer(self, exchange: Exchange, route: Route | None) -> None:
        try:
            await self._serve(exchange, route)
        except (ServiceError, Refused) as error:
            await exchange.fail(error)
            self._refused(exchange, error)
        except asyncio.CancelledError:
            # Either nobody listens any more, or the time for running calls is over.
            if not exchange.hung_up:
                await exchange.fail(_GOING_DOWN)
        except Exception as failure:
            mistake = Internal.with_id()
            self._log.error("http_failed", failure, **mistake.metadata)
            await exchange.fail(mistake)

    def _refused(self, exchange: Exchange, error: ServiceError | Refused) -> None:
        """A line for what never came to the pipeline, which writes one for all else."""
        if isinstance(error, Refused):
            self._log.info("http_refused", status=exchange.status, code=error.code)
        elif isinstance(error, _BEFORE_THE_PIPELINE):
            self._log.info("http_refused", status=exchange.status, code=error.reason().lower())

    async def _serve(self, exchange: Exchange, route: Route | None) -> None:
        scope = exchange.scope
        said = headers.said(scope["headers"])
        now = time.monotonic()
        call = headers.call_of(said, believed=self._believes_tenant, now=now)
        call_context.enter(call)
        exchange.request_id = call.request_id
        if route is None:
            raise _lost(scope["path"])
        if scope["method"] != route.method and (scope["method"], route.method) != ("HEAD", "GET"):
            scope["allow"] = route.method.encode()
            raise Refused(405, f"this path takes {route.method}", code="method_not_allowed")
        if self._in_flight > self._most_calls:
            raise Overloaded(queue="calls", retry_after=timedelta(seconds=1))
        if route.method == "GET":
            await self._models(exchange, scope["path"].removeprefix(f"{_MODELS}/") if route.kind == "model" else None)
            return
        body = await exchange.body(self._loop)
        left = call.remaining(now)
        exchange.watch(self._loop, _MARGIN_SECONDS + (self._deadline if left is None else left))
        if route.kind == "chat":
            await self._chat.answer(exchange, said, body)
        elif route.kind == "count":
            await self._counter.answer(exchange, said, body)
        else:
            await self._embeddings.answer(exchange, said, body)

    async def _models(self, exchange: Exchange, name: str | None) -> None:
        found = (await self._catalogue.needed()).models
        body = models.listed(found, self._policies()) if name is None else models.one(name, found, self._policies())
        await exchange.reply(200, [], orjson.dumps(body))

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers also under overload, and is not counted."""
        exchange = Exchange(scope, receive, send, _OPENAI)
        exchange.closing = self.state is State.DRAINING
        if scope["method"] not in ("GET", "HEAD"):
            scope["allow"] = b"GET"
            await exchange.fail(Refused(405, "this path takes GET", code="method_not_allowed"))
            return
        status = 200 if self.state is State.SERVING else 503
        await exchange.reply(status, [], orjson.dumps({"status": self.state}))


def _route(path: str) -> Route | None:
    route = _ROUTES.get(path)
    if route is None and path.startswith(f"{_MODELS}/") and len(path) > len(_MODELS) + 1:
        return _MODEL
    return route


def _lost(path: str) -> Refused:
    """What somebody hears whose base URL has a /v1 too much or too little, or who asks for what is not served."""
    if _STORED.fullmatch(path):
        return Refused(404, "nothing is stored here: a response is in the answer to its own request", code="not_stored")
    end = path.rstrip("/")
    near = next((known for known in _ROUTES if end.endswith(known.removeprefix("/v1"))), None)
    if near is not None:
        hint = f"did you mean {near}?"
    elif end.endswith(_BARE_COMPLETIONS):
        hint = "bare prompts are not completed, chats are: set your library to them (/v1/chat/completions)"
    else:
        hint = f"served are {', '.join(f'{route.method} {known}' for known, route in _ROUTES.items())}"
    return Refused(404, f"there is nothing under this path; {hint}", code="unknown_path")


def _dialect(path: str, scope: Scope) -> Dialect:
    """The caller's dialect: by path, and for the paths that both have by the header that one of them always sends."""
    if path.startswith("/v1/messages"):
        return _ANTHROPIC
    if path.startswith(_RESPONSES_PATH):
        return _RESPONSES
    if path.startswith("/v1/chat/") or not any(name == _ANTHROPIC_VERSION for name, _ in scope["headers"]):
        return _OPENAI
    return _ANTHROPIC
