"""Callers of every kind, with a plan that the seed alone decides; what each of them was told is kept."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from bench.rehearsal import misbehave
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub

TENANTS = ("acme", "zeta", "mallory")
_MODELS = ("claude-opus", "claude-sonnet", "gpt-5", "gpt-5-mini", "gemini-flash", "deepseek-v3", "kimi-k2.5")
_FAULTS: tuple[Mapping[str, object], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503, "times": 3},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 401},
    {"kind": "reset"},
    {"kind": "cut", "pause_ms": 20},
    {"kind": "clean_cut", "pause_ms": 20},
    {"kind": "malformed"},
    {"kind": "empty_body"},
    {"kind": "error_event"},
    {"kind": "content_filter"},
    {"kind": "context_length"},
    {"kind": "billed_empty"},
    {"kind": "slow_first", "delay_ms": 300},
    {"kind": "stall"},
)
_LADDER = """
strategy = "cascade"
reference_model = "claude-opus"
models = ["gpt-5-mini", "deepseek-v3", "claude-opus"]
judge = "{judge}"
judge_model = "gemini-flash"
threshold = {threshold}
"""
_POLICIES = ("", "", "cost_aware", "semantic", "threshold", "rule")
_SECONDS = 30.0


@dataclass(slots=True)
class Told:
    """What one caller asked and was told. `code`: gRPC's, or HTTP's as text; `left`: the caller hung up."""

    tenant: str
    request_id: str
    kind: str
    code: str = ""
    # All that came: a cut stream has no end, an answer for vectors has no Decision.
    decision: decision_pb2.Decision | None = None
    end: chat_pb2.FinishReason.ValueType | None = None
    cost_nanousd: int | None = None
    left: bool = False


@dataclass(slots=True)
class Player:
    """Calls one router over gRPC and HTTP, and makes the simulator misbehave."""

    channel: grpc.aio.Channel
    http_port: int
    simulator_port: int
    random: random.Random
    faults: float = 0.3
    told: list[Told] = field(default_factory=list)
    _tokens: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=200))

    async def run(self, calls: int, callers: int) -> None:
        """So many calls, so many at once."""
        left = iter(range(calls))

        async def caller() -> None:
            for number in left:
                if self.random.random() < self.faults:
                    await self._fault()
                await self._call(number)

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def _call(self, number: int) -> None:
        kinds = {
            self._whole: 30,
            self._stream: 25,
            self._left_stream: 15,
            self._left_whole: 6,
            self._in_a_hurry: 5,
            self._crowd: 4,
            self._again: 4,
            self._embed: 6,
            self._http: 6,
            self._feedback: 5,
        }
        chosen = self.random.choices(list(kinds), weights=list(kinds.values()))[0]
        await chosen(number)

    # What is asked

    def _request(self, number: int) -> pb.CompleteRequest:
        chance = self.random
        if chance.random() < 0.4:
            text = f"Translate 'word {chance.randrange(30)}' into French."
        else:
            text = f"Call {number}: explain what a ledger is, in a few sentences, to somebody who never kept one."
        message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])
        request = pb.CompleteRequest(conversation=chat_pb2.Conversation(messages=[message]))
        options = request.options
        match chance.randrange(10):
            case 0 | 1 | 2:
                request.model = chance.choice(_MODELS)
            case 3 | 4:
                judge, threshold = chance.choice(("model", "learned", "checks")), chance.choice((0, 0.5, 0.95))
                options.inline_policy = _LADDER.format(judge=judge, threshold=threshold)
            case _:
                options.policy = chance.choice(_POLICIES)
        if chance.random() < 0.4:
            options.cache.no_cache = options.cache.no_store = True
        if chance.random() < 0.1:
            options.max_cost_nanousd = 10 ** chance.randrange(4, 9)
        if chance.random() < 0.05:
            options.memory, options.conversation_id = pb.MEMORY_AUTO, f"talk-{chance.randrange(5)}"
        return request

    def _named(self, kind: str, number: int) -> Told:
        told = Told(self.random.choice(TENANTS), f"{kind}-{number}", kind)
        self.told.append(told)
        return told

    async def _whole(self, number: int) -> None:
        await self._complete(self._named("whole", number), self._request(number))

    async def _stream(self, number: int) -> None:
        await self._streamed(self._named("stream", number), self._request(number))

    async def _left_stream(self, number: int) -> None:
        told = self._named("left-stream", number)
        await self._streamed(told, self._request(number), leave_after=self.random.choice((0, 1, 1, 2, 3, 8)))

    async def _left_whole(self, number: int) -> None:
        told = self._named("left-whole", number)
        call = asyncio.ensure_future(self._complete(told, self._request(number)))
        await asyncio.sleep(self.random.choice((0, 0.002, 0.01, 0.05, 0.2)))
        told.left = not call.done()
        call.cancel()
        await asyncio.wait([call])

    async def _in_a_hurry(self, number: int) -> None:
        seconds = self.random.choice((0.004, 0.02, 0.06, 0.2))
        await self._complete(self._named("hurry", number), self._request(number), seconds=seconds)

    async def _crowd(self, number: int) -> None:
        """Several who ask the same at once; some of them leave."""
        request, first = self._request(number), self._named("crowd", number)
        request.options.cache.ClearField("no_cache")
        request.options.cache.ClearField("no_store")
        others = [Told(first.tenant, f"{first.request_id}-{each}", "crowd") for each in range(4)]
        self.told += others
        calls = [asyncio.ensure_future(self._complete(told, request)) for told in (first, *others[:2])]
        calls += [asyncio.ensure_future(self._streamed(told, request)) for told in others[2:]]
        await asyncio.sleep(self.random.choice((0.01, 0.05)))
        for told, call in zip((first, *others), calls, strict=True):
            if self.random.random() < 0.3 and not call.done():
                told.left = True
                call.cancel()
        await asyncio.wait(calls)

    async def _again(self, number: int) -> None:
        """The same id three times, one after the other or at once."""
        request, told = self._request(number), self._named("again", number)
        request.options.request_id = told.request_id
        asked = [told, Told(told.tenant, told.request_id, "again"), Told(told.tenant, told.request_id, "again")]
        self.told += asked[1:]
        if self.random.random() < 0.5:
            await asyncio.gather(*(self._complete(each, request) for each in asked))
        else:
            for each in asked:
                await self._complete(each, request)

    async def _embed(self, number: int) -> None:
        told = self._named("embed", number)
        texts = [f"text {number} {each}" for each in range(self.random.randrange(1, 5))]
        request = pb.EmbedRequest(model="text-embedding-3-small", texts=texts, request_id=told.request_id)
        call = RouterServiceStub(self.channel).Embed(request, metadata=_metadata(told), timeout=_SECONDS)
        if self.random.random() < 0.2:
            await asyncio.sleep(self.random.choice((0.001, 0.01)))
            told.left = call.cancel()
        try:
            response = await call
            told.code, told.cost_nanousd = "OK", response.cost.nanousd
        except grpc.aio.AioRpcError as failure:
            told.code = failure.code().name
        except asyncio.CancelledError:
            told.code = "CANCELLED"

    async def _feedback(self, number: int) -> None:  # noqa: ARG002 - as all others
        if self._tokens:
            tenant, token = self.random.choice(self._tokens)
            request = pb.RecordFeedbackRequest(feedback_token=token, score=self.random.choice((0, 0.5, 1)))
            with suppress(grpc.aio.AioRpcError):  # of a router that was started anew, say
                await RouterServiceStub(self.channel).RecordFeedback(request, metadata=(("omnisphere-tenant", tenant),))

    async def _http(self, number: int) -> None:
        told = self._named("http", number)
        body = {
            "model": self.random.choice(("auto", "gpt-5-mini", "policy:cost_aware")),
            "messages": [{"role": "user", "content": f"Call {number}: what is a ledger?"}],
            "stream": self.random.random() < 0.5,
        }
        headers = {
            "content-type": "application/json",
            "omnisphere-tenant": told.tenant,
            "x-omnisphere-request-id": told.request_id,
        }
        url = f"http://127.0.0.1:{self.http_port}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)

        def fetch() -> None:
            try:
                with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - loopback
                    said = response.headers.get("x-omnisphere-cost-nanousd")
                    told.cost_nanousd = int(said) if said and said.isdigit() else None
                    told.code = str(response.status)
                    if b'"error"' in response.read():
                        told.code = "cut"
            except urllib.error.HTTPError as failure:
                told.code = str(failure.code)
            except OSError:  # it restarts
                told.code, told.left = "away", True

        await asyncio.to_thread(fetch)

    # How it is asked

    async def _complete(self, told: Told, request: pb.CompleteRequest, seconds: float = _SECONDS) -> None:
        try:
            asking = RouterServiceStub(self.channel).Complete(request, timeout=seconds, metadata=_metadata(told))
            response = await asking
        except grpc.aio.AioRpcError as failure:
            told.code = failure.code().name
            return
        told.code, told.end, told.decision = "OK", response.finish_reason, response.decision
        told.cost_nanousd = response.cost.nanousd
        if response.decision.feedback_token:
            self._tokens.append((told.tenant, response.decision.feedback_token))

    async def _streamed(self, told: Told, whole: pb.CompleteRequest, leave_after: int = -1) -> None:
        request = pb.StreamCompleteRequest(conversation=whole.conversation, model=whole.model, options=whole.options)
        request.on_interruption = self.random.choice((pb.ON_INTERRUPTION_RESTART, pb.ON_INTERRUPTION_FAIL))
        if self.random.random() < 0.1:
            request.stream_mode = pb.STREAM_MODE_FAST
        call: Any = RouterServiceStub(self.channel).StreamComplete(request, timeout=_SECONDS, metadata=_metadata(told))
        came = 0
        try:
            if leave_after != 0:
                async for event in call:
                    came += 1
                    if event.HasField("end"):
                        told.decision, told.end = event.end.decision, event.end.finish_reason
                        told.cost_nanousd = event.end.cost.nanousd
                    if came == leave_after:
                        break
            if leave_after >= 0:
                told.left = call.cancel()
            told.code = "LEFT" if told.left else "OK"
        except grpc.aio.AioRpcError as failure:
            told.code = failure.code().name

    async def _fault(self) -> None:
        await misbehave(self.simulator_port, self.random.choice(_FAULTS))


def _metadata(told: Told) -> tuple[tuple[str, str], ...]:
    return ("omnisphere-tenant", told.tenant), ("omnisphere-request-id", told.request_id)
