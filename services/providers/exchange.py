"""One HTTP exchange with a model, whatever is asked of it: sent, its failure named, booked exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import ServiceError
from services.providers import failures, meter
from services.providers.adapters import ErrorInAnswer, MalformedAnswer
from services.providers.endpoints import Endpoint
from services.providers.ledger import Attempts
from services.providers.picker import Pick, Picker
from services.providers.prices import Price
from services.providers.sse import EventTooLarge
from services.providers.transport import Answering, Transport
from services.providers.tries import Tries


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One attempt while it runs. What an answer says of itself is filled in when it is read."""

    tries: Tries
    pick: Pick
    price: Price | None
    headers: Mapping[str, str]
    path: str
    body: bytes
    started_wall: datetime
    started: float
    status: int = 0
    first_token: float | None = None
    finish_word: str = ""
    upstream_id: str = ""
    upstream_model: str = ""

    @property
    def endpoint(self) -> Endpoint:
        """Where it goes."""
        return self.pick.endpoint


class Sender:
    """Sends exchanges, books them, and tells the picker how they went."""

    def __init__(self, *, transport: Transport, attempts: Attempts, picker: Picker, clock: Clock) -> None:
        self._transport = transport
        self._attempts = attempts
        self._picker = picker
        self._clock = clock

    async def send(self, exchange: Exchange) -> Answering:
        """The request is out and its answer is a 200: `with await send(...)`. Leaving the block hangs up."""
        endpoint = exchange.endpoint
        answering = await self._transport.post(
            address(endpoint.base_url, exchange.path),
            _headers(exchange),
            exchange.body,
            endpoint.name,
            stream=exchange.tries.need.stream,
            via=endpoint.via,
        )
        exchange.status = answering.status
        if answering.tells_limits:
            now, wall = self._clock.monotonic(), self._clock.wall()
            self._picker.headers(exchange.pick, answering.headers, now, wall)
        if answering.status != 200:
            with answering:
                raise await self._refusal(exchange, answering)
        return answering

    async def _refusal(self, exchange: Exchange, answering: Answering) -> ServiceError:
        try:
            body = await answering.body()
        except ServiceError:
            body = b""  # the status says enough
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        return failures.from_response(
            answering.status,
            answering.headers,
            body,
            provider=exchange.endpoint.name,
            model=exchange.tries.need.model,
            now=now,
        )

    def never_sent(self, pick: Pick) -> None:
        """Nothing went out."""
        self._picker.given_up(pick)

    def book(
        self,
        exchange: Exchange,
        outcome: attempt_pb2.AttemptOutcome.ValueType,
        usage: chat_pb2.Usage,
        *,
        error: ServiceError | None,
    ) -> attempt_pb2.Attempt:
        """The exchange is over. Once for each. `error` is what failed, None where nothing did or it was our mistake."""
        now, tries = self._clock.monotonic(), exchange.tries
        attempt = attempt_pb2.Attempt(
            number=len(tries.attempts) + 1,
            model=tries.need.model,
            endpoint=exchange.endpoint.name,
            key=exchange.pick.key_name,
            purpose=tries.purpose,
            outcome=outcome,
            error_reason=error.reason() if error else "",
            http_status=exchange.status,
            provider_finish_reason=exchange.finish_word,
            upstream_id=exchange.upstream_id,
            upstream_model=exchange.upstream_model,
            simulated=exchange.endpoint.simulated,
        )
        # In place: half of what it costs to hand them over when the attempt is made.
        attempt.usage.CopyFrom(usage)
        attempt.cost.CopyFrom(meter.cost(usage, exchange.price, exchange.started_wall))
        seconds = exchange.started_wall.timestamp()
        attempt.started_at.seconds, attempt.started_at.nanos = int(seconds), int(seconds % 1 * 1_000_000) * 1_000
        _set(attempt.latency, now - exchange.started)
        if exchange.first_token is not None:
            _set(attempt.time_to_first_token, exchange.first_token - exchange.started)
        self._attempts.book(attempt, request_id=tries.request_id, call_id=tries.call_id, operation=tries.operation)
        tries.attempts.append(attempt)
        if outcome == attempt_pb2.ATTEMPT_OUTCOME_OK:
            ended = exchange.first_token if tries.need.stream and exchange.first_token is not None else now
            self._picker.succeeded(exchange.pick, ended - exchange.started, now)
        elif error is not None:
            self._picker.failed(exchange.pick, error, tries.tried, now)
        else:
            self._picker.given_up(exchange.pick)
        return attempt


def address(base_url: str, path: str) -> str:
    """Where a request goes. A base URL may end with a query, as Azure's api-version, which then ends the address."""
    base, _, query = base_url.partition("?")
    if not query:
        return base + path
    return f"{base.rstrip('/')}{path}{'&' if '?' in path else '?'}{query}"


def named(failure: Exception, *, provider: str, model: str, in_stream: bool = False) -> tuple[str, ServiceError] | None:
    """(cause, the error it stands for). None: it is a mistake of ours. `in_stream`: a stream had begun."""
    match failure:
        case MalformedAnswer():
            return failure.kind, failures.no_answer(failure.kind, provider=provider)
        case EventTooLarge():
            return "too_large", failures.no_answer("too_large", provider=provider)
        case ErrorInAnswer():
            error = failures.from_error_object(failure.body, provider=provider, model=model)
            return error.metadata.get("provider_type", "error_in_answer"), error
        case ServiceError():
            cause = failure.metadata.get("cause", "status")
            return cause, failures.cut(cause, provider=provider) if in_stream and cause in _CUT else failure
        case _:
            return None


# How a connection ends in the middle of an answer.
_CUT = ("hung_up", "protocol")


def _set(duration: Duration, seconds: float) -> None:
    duration.seconds, duration.nanos = divmod(int(seconds * 1e6) * 1_000, 1_000_000_000)


def _headers(exchange: Exchange) -> Mapping[str, str]:
    return {"traceparent": call_context.traceparent(call_context.current()), **exchange.headers}
