"""The simulator's HTTP server: routes, and what one process of it holds."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import web

from services.simulator.answer import Reply, answer
from services.simulator.api_error import ApiError, Refused, context_too_long, invalid, no_chat_model, unknown_model
from services.simulator.bank import load_bank
from services.simulator.books import Books, Entry
from services.simulator.chat_request import ChatRequest
from services.simulator.dialects import Dialect
from services.simulator.dialects.by_path import OPENAI_CHAT, dialect_of
from services.simulator.exchange import Exchange
from services.simulator.faults import FaultTable, read_fault
from services.simulator.fleet import BUNDLED_FLEET, Model, load_fleet
from services.simulator.models_list import models_list
from services.simulator.openai_embeddings import embeddings, read_embeddings
from services.simulator.play import play
from services.simulator.read_request import named_model, parse_json
from services.simulator.recorded import Recorded, read_recorded
from services.simulator.replayed import replayed
from services.simulator.script import Script, answer_script, body_script, error_script
from services.simulator.settings import SimulatorSettings
from services.simulator.spoil import spoiled
from services.simulator.tokens import count_prompt

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Both versions that its clients use.
_GEMINI = "/{version:v1|v1beta}/models/{model}:{verb:generateContent|streamGenerateContent}"
_KEPT_REQUESTS = 200
_LARGEST_BODY = 64 * 1024 * 1024
# Whatever still runs at stop has been cancelled before; this is only for it to unwind.
_UNWIND_S = 0.1


class Simulator:
    """A fleet of fake models behind one port; start it once, stop it once."""

    def __init__(self) -> None:
        self.books = Books()
        self.faults = FaultTable()
        self.requests: deque[dict[str, object]] = deque(maxlen=_KEPT_REQUESTS)
        self.fleet: dict[str, Model] = {}
        self.recorded: Recorded | None = None
        self._bank = load_bank()
        self._scale = 1.0
        self._port = 0
        self._answering: set[asyncio.Task[object]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    async def start(self, settings: SimulatorSettings) -> None:
        """Listen; raise FleetError for a bad fleet, StartError for bad recordings, OSError for a port in use."""
        if settings.replay_outcomes is not None:
            self.recorded = read_recorded(settings.replay_outcomes.expanduser(), settings.replay_set)
            self.fleet = dict(self.recorded.models)
        else:
            self.fleet = load_fleet(settings.fleet or BUNDLED_FLEET)
        self._scale = settings.latency_scale
        runner = web.AppRunner(
            self._application(),
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=_UNWIND_S,
        )
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = site.port

    async def stop(self) -> None:
        """Break off every open answer, close every connection."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for task in self._answering:
            task.cancel()
        await runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[_errors], client_max_size=_LARGEST_BODY)
        app.on_response_prepare.append(_sign)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/messages", self._chat),
                web.post("/v1/responses", self._chat),
                web.post(_GEMINI, self._chat),
                web.post("/v1/embeddings", self._embeddings),
                web.get("/v1/models", self._models),
                web.get("/healthz", self._health),
                web.get("/books", self._read_books),
                web.post("/books/reset", self._reset_books),
                web.get("/faults", self._read_faults),
                web.post("/faults", self._add_faults),
                web.delete("/faults", self._clear_faults),
                web.get("/requests", self._read_requests),
            ]
        )
        return app

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        raw, dialect = await http.read(), dialect_of(http.path)
        model: Model | None = None
        try:
            document = self._remembered(http.path, raw) | _in_the_path(http)
            name = named_model(document)
            model = self.fleet.get(name)
            if model is None:
                raise unknown_model(name)
            if model.dimensions:
                raise no_chat_model()
            request = dialect.read(document)
            reply, prompt_tokens = self._replied(request, model)
        except Refused:
            self.books.refuse(model)
            raise
        exchange, script = self._prepared(request, dialect, model, reply, prompt_tokens)
        entry = self.books.open(model, exchange.prompt_tokens)
        return await self._serve(http, script, entry, exchange.output_tokens)

    async def _embeddings(self, http: web.Request) -> web.StreamResponse:
        raw = await http.read()
        model: Model | None = None
        try:
            document = self._remembered(http.path, raw)
            name = named_model(document)
            model = self.fleet.get(name)
            if model is None:
                raise unknown_model(name)
            request = read_embeddings(document, model)
        except Refused:
            self.books.refuse(model)
            raise
        seconds = model.first_token_ms / 1000 + request.prompt_tokens / model.tokens_per_second
        script = body_script(embeddings(request, model), seconds * self._scale)
        fault = self.faults.take(model.id)
        if fault is not None:
            script = spoiled(script, fault, request, model, OPENAI_CHAT)
        return await self._serve(http, script, self.books.open(model, request.prompt_tokens), 0)

    async def _serve(self, http: web.Request, script: Script, entry: Entry, output_tokens: int) -> web.StreamResponse:
        """Play the answer to a valid request; its task is known, so that stop can break it off."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._answering.add(task)
        try:
            return await play(http, script, entry, output_tokens)
        finally:
            self._answering.discard(task)

    def _replied(self, request: ChatRequest, model: Model) -> tuple[Reply, int]:
        """(what the model says, tokens of input). Raises Refused."""
        if self.recorded is not None:
            return replayed(request, model, self.recorded)
        prompt_tokens = count_prompt(request)
        return answer(request, model, self._bank, max(1, model.window - prompt_tokens)), prompt_tokens

    def _prepared(
        self, request: ChatRequest, dialect: Dialect, model: Model, reply: Reply, prompt_tokens: int
    ) -> tuple[Exchange, Script]:
        """What to send: the answer, the answer as a fault leaves it, or an error."""
        exchange = Exchange(
            id=uuid.uuid4().hex,
            created=int(time.time()),
            model=model.id,
            prompt_tokens=prompt_tokens,
            reply=reply,
            wants_usage=request.wants_usage,
        )
        fault = self.faults.take(model.id)
        if fault is None and prompt_tokens > model.window:
            return exchange, error_script(context_too_long(prompt_tokens, model.window), dialect)
        script = answer_script(exchange, dialect, model, self._scale, is_stream=request.is_stream)
        if fault is not None:
            script = spoiled(script, fault, exchange, model, dialect)
        return exchange, script

    def _remembered(self, path: str, raw: bytes) -> dict[str, object]:
        """The parsed body, kept for GET /requests; one that is no JSON is kept as text."""
        try:
            document = parse_json(raw)
        except Refused:
            self.requests.append({"path": path, "body": raw.decode(errors="replace")})
            raise
        self.requests.append({"path": path, "body": document})
        return document

    async def _models(self, _http: web.Request) -> web.Response:
        return web.json_response(models_list(self.fleet.values()))

    async def _health(self, _http: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "simulated": True})

    async def _read_books(self, _http: web.Request) -> web.Response:
        return web.json_response(self.books.as_json())

    async def _reset_books(self, _http: web.Request) -> web.Response:
        self.books.reset()
        return web.json_response(self.books.as_json())

    async def _read_faults(self, _http: web.Request) -> web.Response:
        return web.json_response({"faults": self.faults.waiting()})

    async def _add_faults(self, http: web.Request) -> web.Response:
        """Take one fault, or a list of them; a wrong one leaves the table as it was."""
        try:
            rows = json.loads(await http.read())
        except ValueError:
            raise invalid("We could not parse the JSON body of your request.") from None
        faults = [read_fault(row) for row in (rows if isinstance(rows, list) else [rows])]
        for fault in faults:
            if fault.model != "*" and fault.model not in self.fleet:
                raise unknown_model(fault.model)
        for fault in faults:
            self.faults.add(fault)
        return await self._read_faults(http)

    async def _clear_faults(self, http: web.Request) -> web.Response:
        self.faults.clear()
        return await self._read_faults(http)

    async def _read_requests(self, _http: web.Request) -> web.Response:
        return web.json_response({"requests": list(self.requests)})


def _in_the_path(http: web.Request) -> dict[str, object]:
    """Google's requests name the model, and whether it is a stream, in their address."""
    verb = http.match_info.get("verb")
    if verb is None:
        return {}
    return {"model": http.match_info["model"], "stream": verb == "streamGenerateContent"}


async def _sign(_http: web.Request, response: web.StreamResponse) -> None:
    response.headers["server"] = "omnisphere-simulator"


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer refusals, and aiohttp's own, in the shape of the address's dialect."""
    try:
        return await handler(request)
    except Refused as refused:
        error = refused.error
    except web.HTTPException as foreign:
        error = ApiError(foreign.status, f"{request.method} {request.path}: {foreign.reason}.")
    return web.json_response(dialect_of(request.path).error(error), status=error.status)
