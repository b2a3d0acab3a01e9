"""Makes summaries behind the answers: leaves from turns, the levels above from summaries; each once, and kept.

A model is asked through the providers service, with the tenant and the request id of the Fit that wants the summary and
the purpose SUMMARY. What is sent stays below the smallest window of any model: a leaf is cut into pieces first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import ServiceError
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.context.peers import ProvidersPeer
from services.context.store import Store, StoreFailed
from services.context.summary import LEAF_BYTES, Node, children

_SUMMARY_TOKENS = 256
_MOST_SUMMARY_BYTES = LEAF_BYTES // 4 - 100
_MOST_KNOWN = 4_096
_KEEP_SECONDS = 30 * 86_400.0
_LIST_TIMEOUT = 5.0
_INSTRUCTIONS = (
    "Sum up this part of a conversation in at most 100 words, for somebody who goes on with it: who wants what, what "
    "was decided, names, numbers and dates as they stand. Only what is said. No introduction."
)
_GET = "SELECT text FROM summaries WHERE tenant = ? AND key = ?"
_PUT = "INSERT OR REPLACE INTO summaries (tenant, key, at, text) VALUES (?, ?, ?, ?)"
_DROP = "DELETE FROM summaries WHERE at < ?"


@dataclass(frozen=True, slots=True)
class Work:
    """Nodes that are wanted, in the order in which they can be made. `texts`: the words of a leaf's units, by node."""

    tenant: str
    levels: Sequence[Sequence[Node]]
    nodes: Sequence[Node]
    texts: dict[str, str]


class Summaries:
    """Finds and makes summaries. `model` "": the cheapest that the catalogue can call."""

    def __init__(
        self, store: Store, executor: Executor, clock: Clock, log: Log, *, model: str, timeout: float, waiting: int
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._log = log
        self._model = model
        self._timeout = timeout
        self._providers: ProvidersPeer | None = None
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._wanted: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = waiting
        self._turn = asyncio.Lock()

    def start(self, providers: ProvidersPeer) -> None:
        """From now on summaries can be made."""
        self._providers = providers

    async def stop(self) -> None:
        """Give up what is not made."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is being made."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def find(self, tenant: str, nodes: Sequence[Node]) -> dict[str, str]:
        """The summaries of these nodes that are there, by key."""
        found = {node.key: self._known[tenant, node.key] for node in nodes if (tenant, node.key) in self._known}
        missing = [node.key for node in nodes if node.key not in found]
        if missing:
            for key, text in (await self._executor.run(self._read, tenant, missing)).items():
                found[key] = self._remember(tenant, key, text)
        return found

    def want(self, work: Work) -> None:
        """Make these soon, for the call that this task works for. Where too much waits, the next Fit asks again."""
        nodes = [node for node in work.nodes if (work.tenant, node.key) not in self._wanted]
        if self._providers is None or not nodes or len(self._tasks) >= self._waiting:
            return
        self._wanted.update((work.tenant, node.key) for node in nodes)
        task = asyncio.get_running_loop().create_task(self._make(work, nodes), context=copy_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, work: Work, nodes: Sequence[Node]) -> None:
        call_context.enter(call_context.current().until(None))  # the Fit's own deadline is over by then
        try:
            async with self._turn:  # one conversation at a time: it is work for nobody who waits
                for node in nodes:
                    await self._one(work, node)
        except ServiceError as failure:
            self._log.warning("summary_failed", reason=failure.reason())
        except Exception as failure:
            self._log.error("summary_failed", failure)
        finally:
            self._wanted.difference_update((work.tenant, node.key) for node in nodes)

    async def _one(self, work: Work, node: Node) -> None:
        if node.level == 0:
            pieces = pieces_of(work.texts[node.key])
        else:
            below = children(node, work.levels)
            found = await self.find(work.tenant, below)
            if len(found) < len(below):
                return
            pieces = ["\n\n".join(found[child.key] for child in below)]
        said = [await self._asked(piece) for piece in pieces]
        text = "\n".join(said).encode()[:_MOST_SUMMARY_BYTES].decode("utf-8", "ignore")
        if text.strip():
            self._remember(work.tenant, node.key, text)
            await self._executor.run(self._write, work.tenant, node.key, text)

    async def _asked(self, text: str) -> str:
        if self._providers is None:
            return ""
        request = pb.GenerateRequest()
        generation = request.generation
        generation.model = self._model or await self._cheapest(self._providers)
        generation.request_id = call_context.current().request_id or call_context.new_request_id()
        generation.purpose, generation.call_id = attempt_pb2.PURPOSE_SUMMARY, call_context.new_call_id()
        generation.conversation.messages.add(role=chat.ROLE_SYSTEM, parts=[chat.Part(text=_INSTRUCTIONS)])
        generation.conversation.messages.add(role=chat.ROLE_USER, parts=[chat.Part(text=text)])
        generation.conversation.sampling.max_output_tokens = _SUMMARY_TOKENS
        response = await self._providers.generate(request, self._timeout)
        return "".join(part.text for part in response.message.parts)

    async def _cheapest(self, providers: ProvidersPeer) -> str:
        models = (await providers.list_models(pb.ListModelsRequest(), _LIST_TIMEOUT)).models
        callable_ = [model for model in models if model.endpoints and _answers(model)]
        return min(callable_, key=_price).id if callable_ else ""

    def _remember(self, tenant: str, key: str, text: str) -> str:
        self._known[tenant, key] = text
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return text

    def _read(self, tenant: str, keys: Sequence[str]) -> dict[str, str]:
        try:
            rows = {key: self._store.read(_GET, (tenant, key)) for key in keys}
        except StoreFailed:
            return {}
        return {key: str(found[0][0]) for key, found in rows.items() if found}

    def _write(self, tenant: str, key: str, text: str) -> None:
        now = self._clock.wall()
        try:
            self._store.write((_PUT, [(tenant, key, now, text)]), (_DROP, [(now - _KEEP_SECONDS,)]))
        except StoreFailed:
            return  # it lasts as long as the process


def pieces_of(text: str) -> list[str]:
    """The text in pieces of at most LEAF_BYTES bytes: no model has a window for fewer tokens."""
    packed = text.encode()
    pieces = [packed[at : at + LEAF_BYTES].decode("utf-8", "ignore") for at in range(0, len(packed), LEAF_BYTES)]
    return pieces[:_MOST_PIECES]


# Of one leaf: a longer message is summed up by its beginning.
_MOST_PIECES = 4


def _answers(model: model_pb2.Model) -> bool:
    return model_pb2.CAPABILITY_EMBEDDINGS not in model.capabilities


def _price(model: model_pb2.Model) -> Decimal:
    try:
        return Decimal(model.prices.input_usd_per_mtok) + Decimal(model.prices.output_usd_per_mtok)
    except InvalidOperation:
        return Decimal("Infinity")
