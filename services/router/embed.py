"""The journey of one request for vectors: admit -> resolve -> ask -> record. No other model takes the place of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.client import MESSAGE_BYTES
from services.chassis.clock import Clock
from services.chassis.errors import InvalidRequest, MessageTooLarge, ServiceError
from services.router.admit import check_model, check_request_id, check_time
from services.router.books import Books, ended_with
from services.router.catalog import CatalogueKeeper
from services.router.payment import Unsaid, pay_failed
from services.router.peers import ProvidersPeer
from services.router.record import Step, add_attempts

# The task type of every request for vectors, in the books beside those of conversations.
TASK = "embedding"
MOST_TEXTS = 2_048


@dataclass(frozen=True, slots=True)
class EmbedAsk:
    """One admitted request for vectors."""

    tenant: str
    request_id: str
    texts: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """What its hash in the ledger is made of."""
        return "\0".join(self.texts)


class EmbedRecord:
    """What became of one request, while it runs."""

    def __init__(self, ask: EmbedAsk, clock: Clock) -> None:
        self.decision = decision_pb2.Decision(request_id=ask.request_id, strategy="fixed", task_type=TASK)
        self.decision.cost.priced = True
        self.decision.usage.SetInParent()
        self.unsettled: list[str] = []
        self.started = clock.monotonic()

    def attempted(self, attempts: Iterable[attempt_pb2.Attempt]) -> None:
        """See Payer."""
        add_attempts(self.decision, attempts)

    def unsaid(self, call: Unsaid) -> None:
        """See Payer. The providers are asked behind the answer."""
        self.unsettled.append(call.call_id)
        self.decision.cost.priced = False  # until they have said it


class Embedder:
    """Turns texts into vectors."""

    def __init__(
        self, *, providers: ProvidersPeer, catalogue: CatalogueKeeper, books: Books, clock: Clock, deadline: float
    ) -> None:
        self._providers = providers
        self._catalogue = catalogue
        self._books = books
        self._clock = clock
        self._deadline = deadline

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """All vectors. Whatever happens after admission, the request is booked. Raises ServiceError."""
        call = call_context.current()
        ask = admit(request, call, now=self._clock.monotonic())
        record = EmbedRecord(ask, self._clock)
        reason, finish = "CANCELLED", chat_pb2.FINISH_REASON_ERROR
        with call_context.entered(call.named(ask.request_id)):
            try:
                response = await self._ask(request, record)
                reason, finish = "", chat_pb2.FINISH_REASON_UNSPECIFIED
            except ServiceError as failure:
                reason = failure.reason()
                failure.details = ()
                raise
            except Exception:
                reason = "INTERNAL"
                raise
            finally:
                self._books.landed(ask, record, ended_with(self._clock, record.started, finish, reason))
        return response

    async def _ask(self, request: pb.EmbedRequest, record: EmbedRecord) -> pb.EmbedResponse:
        decision = record.decision
        model = (await self._catalogue.needed()).embedding(request.model)
        decision.model = model.id
        asked = _asked(request, model, decision.request_id)
        try:
            with Step(decision, "embed", self._clock):
                answered = await self._providers.embed(asked, self._deadline)
        except BaseException as failure:
            pay_failed(record, failure, asked.call_id)
            raise
        record.attempted(answered.attempts)
        return pb.EmbedResponse(
            embeddings=[pb.Embedding(values=embedding.values) for embedding in answered.embeddings],
            usage=decision.usage,
            cost=decision.cost,
            model=model.id,
            simulated=decision.simulated,
        )


def admit(request: pb.EmbedRequest, call: CallContext, *, now: float) -> EmbedAsk:
    """The request, checked. Raises InvalidRequest, MessageTooLarge or DeadlineExceeded."""
    check_time(call, now)
    if not request.model:
        raise InvalidRequest(field="model", problem="is not set")
    check_model(request.model)
    check_request_id(request.request_id, "request_id")
    if not request.texts:
        raise InvalidRequest(field="texts", problem="is empty")
    if len(request.texts) > MOST_TEXTS:
        raise InvalidRequest(field="texts", problem=f"is more than {MOST_TEXTS:,} texts")
    for at, text in enumerate(request.texts):
        if not text:
            raise InvalidRequest(field=f"texts[{at}]", problem="is empty")
    if request.HasField("dimensions") and request.dimensions < 1:
        raise InvalidRequest(field="dimensions", problem="is less than 1")
    if request.ByteSize() > MESSAGE_BYTES:  # what comes over gRPC was measured before; not all does
        raise MessageTooLarge(limit_bytes=str(MESSAGE_BYTES))
    request_id = request.request_id or call.request_id or call_context.new_request_id()
    return EmbedAsk(call.caller.tenant, request_id, tuple(request.texts))


def _asked(request: pb.EmbedRequest, model: model_pb2.Model, request_id: str) -> providers_pb.EmbedRequest:
    return providers_pb.EmbedRequest(
        model=model.id,
        texts=request.texts,
        request_id=request_id,
        dimensions=request.dimensions if request.HasField("dimensions") else None,
        call_id=call_context.new_call_id(),
    )
