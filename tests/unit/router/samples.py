"""Small conversations, models and a router pipeline on scripted peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.errors import ServiceError
from services.chassis.identity import Caller
from services.router.admit import Ask, admit
from services.router.after import AfterAnswer
from services.router.books import Books
from services.router.cache_step import CacheStep
from services.router.cascade_run import Cascade
from services.router.catalog import CatalogueKeeper
from services.router.collect import Collector
from services.router.embed import Embedder
from services.router.execute import Executor
from services.router.fit_step import FitStep
from services.router.flight import Event
from services.router.guard import Guard
from services.router.hot import HotAnswers
from services.router.judging import AnswerJudge
from services.router.learning.explore import Explorer
from services.router.learning.outcomes import Outcomes
from services.router.learning.shadow import Shadow
from services.router.metrics import RouterMetrics
from services.router.pipeline import Delivery, Pipeline
from services.router.planner import Planner
from services.router.policy import load_policies
from services.router.policy_keeper import PolicyKeeper
from services.router.service import RouterService
from services.router.single_flight import Flights
from services.router.tasks.example_keeper import ExampleKeeper
from services.router.tasks.finder import TaskFinder
from services.router.usage import Usage
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import ListedBook
from tests.fakes.log import ReadableLog
from tests.fakes.peers import ScriptedCache, ScriptedContext, ScriptedProviders
from tests.fakes.routing import AgreementVerifier, ScriptedForecaster, ScriptedJudge

POLICIES = load_policies(None)


def message(role: chat_pb2.Role.ValueType, *parts: chat_pb2.Part | str) -> chat_pb2.Message:
    """One turn; texts become text parts."""
    made = [chat_pb2.Part(text=part) if isinstance(part, str) else part for part in parts]
    return chat_pb2.Message(role=role, parts=made)


def user(*parts: chat_pb2.Part | str) -> chat_pb2.Message:
    """A turn of the person."""
    return message(chat_pb2.ROLE_USER, *parts)


def assistant(*parts: chat_pb2.Part | str) -> chat_pb2.Message:
    """A turn of the model."""
    return message(chat_pb2.ROLE_ASSISTANT, *parts)


def call(id_: str, name: str = "look") -> chat_pb2.Part:
    """A tool call."""
    return chat_pb2.Part(tool_call=chat_pb2.ToolCall(id=id_, name=name, arguments_json="{}"))


def result(id_: str, text: str = "seen") -> chat_pb2.Part:
    """A tool's result."""
    return chat_pb2.Part(tool_result=chat_pb2.ToolResult(tool_call_id=id_, parts=[chat_pb2.Part(text=text)]))


def talk(*messages: chat_pb2.Message | str) -> chat_pb2.Conversation:
    """A conversation; a text is a turn of the person."""
    return chat_pb2.Conversation(messages=[user(turn) if isinstance(turn, str) else turn for turn in messages])


ALL_CAPABILITIES = (
    model_pb2.CAPABILITY_TOOLS,
    model_pb2.CAPABILITY_IMAGES,
    model_pb2.CAPABILITY_DOCUMENTS,
    model_pb2.CAPABILITY_JSON_SCHEMA,
)


def model(
    id_: str,
    *aliases: str,
    tier: model_pb2.Tier.ValueType = model_pb2.TIER_MEDIUM,
    window: int = 100_000,
    price: str = "1",
    can: Sequence[model_pb2.Capability.ValueType] = ALL_CAPABILITIES,
    states: Sequence[model_pb2.Endpoint.State.ValueType] = (model_pb2.Endpoint.STATE_READY,),
    simulated: bool = False,
) -> model_pb2.Model:
    """A model of the catalogue; no `states`: no endpoint. `price` is for input; output costs twice as much."""
    prices = model_pb2.Prices(input_usd_per_mtok=price, output_usd_per_mtok=str(2 * float(price))) if price else None
    return model_pb2.Model(
        id=id_,
        aliases=aliases,
        vendor="somebody",
        tier=tier,
        window_tokens=window,
        max_output_tokens=8_000,
        capabilities=can,
        prices=prices,
        simulated=simulated,
        endpoints=[model_pb2.Endpoint(name="somewhere", state=state) for state in states],
    )


# The two models of simple_qa in the shipped table, and the one that savings are compared with.
PRIMARY, FALLBACK, REFERENCE = "deepseek-v3-2", "gpt-5-mini", "claude-opus-5"


def fleet() -> list[model_pb2.Model]:
    """The models that most tests need."""
    return [
        model(PRIMARY, "deepseek-v3"),
        model(FALLBACK),
        model(REFERENCE, "claude-opus", tier=model_pb2.TIER_FRONTIER, price="15"),
    ]


def caller(*, tenant: str = "default", request_id: str = "", deadline: float | None = None) -> CallContext:
    """What a call carries."""
    return CallContext(Caller(tenant), request_id, "0" * 31 + "1", "00", deadline)


def admitted(
    conversation: chat_pb2.Conversation | str = "hello",
    *,
    model: str = "",
    tenant: str = "default",
    options: pb.RequestOptions | None = None,
) -> Ask:
    """An admitted request."""
    asked = talk(conversation) if isinstance(conversation, str) else conversation
    request = pb.CompleteRequest(conversation=asked, model=model, options=options)
    return admit(request, caller(tenant=tenant), POLICIES, now=0.0)


@dataclass
class Outcome:
    """What a caller got: the events in order, and the error that came after them."""

    events: list[Event] = field(default_factory=list)
    error: ServiceError | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events, in order."""
        return [str(event.WhichOneof("event")) for event in self.events]

    @property
    def text(self) -> str:
        """The answer after the last restart."""
        collector = Collector()
        for event in self.events:
            if event.HasField("restart"):
                collector = Collector()
            elif event.HasField("delta"):
                collector.apply(event.delta)
        return "".join(part.text for part in collector.message().parts)

    @property
    def end(self) -> pb.End:
        """The end; there must be one."""
        assert self.kinds.count("end") == 1, self.kinds
        return self.events[-1].end

    @property
    def decision(self) -> decision_pb2.Decision:
        """The decision of the end."""
        return self.end.decision


class Rig:
    """A whole pipeline on scripted peers and a clock that stands still."""

    def __init__(
        self,
        *,
        remember_bytes: int = 1 << 20,
        deadline: float = 300.0,
        waiting: int = 100,
        explore: float = 0.0,
        budget: int = 10**9,
    ) -> None:
        self.clock = FakeClock()
        self.log = ReadableLog("router")
        self.cache = ScriptedCache()
        self.context = ScriptedContext()
        self.providers = ScriptedProviders(fleet())
        self.registry = CollectorRegistry()
        self.metrics = RouterMetrics(self.registry)
        self.flights = Flights(remember_for=timedelta(minutes=10), most_bytes=remember_bytes)
        self.ledger = ListedBook()
        self.forecaster = ScriptedForecaster()
        self.judge = ScriptedJudge()
        self.outcomes = Outcomes(
            self.forecaster,
            self.forecaster.kept.append,
            key=b"feedback",
            clock=self.clock,
            metrics=self.metrics.learning,
        )
        self.dropped: list[str] = []
        self.explored: list[str] = []
        self.shadow = Shadow(clock=self.clock, log=self.log, budget_nanousd=budget)
        self.after = AfterAnswer(waiting=waiting, log=self.log, dropped=self.dropped.append, pause=0)
        self.catalogue = CatalogueKeeper(self.providers, every=timedelta(hours=1), log=self.log)
        self.policies = PolicyKeeper(None, lambda: self.catalogue.current, self.log)
        step = CacheStep(self.cache, Guard(), self.clock, timeout=0.25)
        books = self.books = Books(
            self.ledger,
            metrics=self.metrics,
            providers=self.providers,
            clock=self.clock,
            hash_key=b"key",
        )
        fit = FitStep(self.context, Guard(), self.clock, timeout=2.0)
        executor = Executor(fit=fit, providers=self.providers, deadline=deadline)
        self.pipeline = Pipeline(
            policies=self.policies,
            catalogue=self.catalogue,
            cache=step,
            fit=fit,
            tasks=TaskFinder(ExampleKeeper({}, self.cache, self.log), self.cache),
            planner=Planner(self.forecaster),
            executor=executor,
            cascade=Cascade(executor, self.judge),
            outcomes=self.outcomes,
            explorer=Explorer(
                self.shadow,
                self.providers,
                AnswerJudge(self.providers, AgreementVerifier()),
                self.outcomes,
                share=explore,
                counted=self.explored.append,
            ),
            flights=self.flights,
            after=self.after,
            metrics=self.metrics,
            log=self.log,
            clock=self.clock,
            deadline=deadline,
            books=books,
        )
        self.embedder = Embedder(
            providers=self.providers, catalogue=self.catalogue, books=books, clock=self.clock, deadline=deadline
        )
        self.hot = HotAnswers(step, books, self.clock, self.catalogue, self.policies, most_bytes=1 << 20)
        self.service = RouterService(
            self.pipeline, self.catalogue, Usage(None, all_tenants=True), self.embedder, self.hot, self.outcomes
        )

    async def settle_books(self) -> None:
        """Let the providers be asked for what calls cost that were given up."""
        for _ in range(4):
            await settle()
            self.clock.advance(1.0)
        await settle()

    def ask(
        self,
        text: chat_pb2.Conversation | str = "hello",
        *,
        model: str = "",
        options: pb.RequestOptions | None = None,
        tenant: str = "default",
        stream: bool = True,
        restartable: bool = False,
        fast: bool = False,
        seconds: float | None = None,
        seen: Callable[[Event], None] | None = None,
    ) -> asyncio.Task[Outcome]:
        """One request in a task of its own. `seen` is told of each event as it comes."""

        async def run() -> Outcome:
            deadline = None if seconds is None else self.clock.monotonic() + seconds
            call_context.enter(caller(tenant=tenant, deadline=deadline))
            conversation = talk(text) if isinstance(text, str) else text
            request = pb.StreamCompleteRequest(conversation=conversation, model=model, options=options)
            outcome = Outcome()
            delivery = Delivery(stream=stream, restartable=restartable, fast=fast)
            try:
                async with aclosing(self.pipeline.answer(request, delivery)) as events:
                    async for event in events:
                        outcome.events.append(event)
                        if seen is not None:
                            seen(event)
            except ServiceError as error:
                outcome.error = error
            return outcome

        return asyncio.create_task(run())


@asynccontextmanager
async def rig(**settings: Any) -> AsyncIterator[Rig]:
    """A started rig."""
    made = Rig(**settings)
    made.after.start()
    made.shadow.start()
    await made.catalogue.start()
    try:
        yield made
    finally:
        await made.settle_books()
        await made.shadow.stop()
        await made.catalogue.stop()
        await made.after.stop()
        await made.books.stop()


async def settle(rounds: int = 20) -> None:
    """Let everything that can run do so."""
    for _ in range(rounds):
        await asyncio.sleep(0)
