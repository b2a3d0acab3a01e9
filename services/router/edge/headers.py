"""Headers of the edge: what a caller says beside the body, and what we say beside the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context, identity
from services.chassis.call_context import CallContext, parse_trace
from services.router.edge.errors import wrong
from services.router.edge.values import word

Headers = list[tuple[bytes, bytes]]
TASK, REQUEST_ID, TIMEOUT = "x-omnisphere-task", "x-omnisphere-request-id", "x-omnisphere-timeout"
CACHE_TTL, DECISION = "x-omnisphere-cache-ttl", "x-omnisphere-decision"
CONVERSATION_ID, MEMORY = "x-omnisphere-conversation-id", "x-omnisphere-memory"
REGIONS, MOST_COST = "x-omnisphere-region-tags", "x-omnisphere-max-cost-nanousd"
IDEMPOTENCY = "idempotency-key"
_CACHE_CONTROL, _TRACE = "cache-control", "traceparent"
_OURS = (
    *(TASK, REQUEST_ID, TIMEOUT, CACHE_TTL, DECISION, CONVERSATION_ID, MEMORY, REGIONS, MOST_COST),
    *(IDEMPOTENCY, _CACHE_CONTROL, _TRACE, identity.TENANT_KEY),
)
_BY_BYTES = {name.encode(): name for name in _OURS}
_PREFIX = b"x-omnisphere-"
_MEMORIES = {"auto": pb.MEMORY_AUTO, "off": pb.MEMORY_OFF}
_SAFE = re.compile(r"[^\x21-\x7e]+")
_LONGEST_SECONDS, _LONGEST_VALUE = 7 * 86_400.0, 1_024
# Of seconds, as a duration of the contract holds them, and of nano-dollars.
_SECONDS_DIGITS, _MONEY_DIGITS = 10, 18


def said(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers that mean something here, by name; repeated ones joined, as HTTP has it. Raises Refused for one that
    is named like ours, and is none: it may be misspelt."""
    found: dict[str, str] = {}
    for name, value in headers:
        ours = _BY_BYTES.get(name)
        if ours is not None:
            text = value.decode("latin-1")
            found[ours] = f"{found[ours]}, {text}" if ours in found else text
        elif name.startswith(_PREFIX):
            raise wrong(name[:64].decode("latin-1"), "is not a known header", "unknown_parameter")
    if IDEMPOTENCY in found:  # its value is a string of structured fields, where somebody cares
        found.setdefault(REQUEST_ID, found.pop(IDEMPOTENCY).strip('"'))
    return found


def call_of(said: dict[str, str], *, believed: bool, now: float) -> CallContext:
    """Who calls, until when, and under which trace. Raises Unauthenticated and Refused."""
    caller = identity.identify(said.get(identity.TENANT_KEY, ""), believed=believed)
    trace_id, flags = parse_trace(said.get(_TRACE, ""))
    deadline = now + _seconds(said[TIMEOUT], TIMEOUT) if TIMEOUT in said else None
    request_id = said.get(REQUEST_ID) or call_context.new_request_id()
    if len(request_id) > call_context.REQUEST_ID_BYTES:
        raise wrong(REQUEST_ID, f"is longer than {call_context.REQUEST_ID_BYTES} bytes")
    return CallContext(caller, request_id, trace_id, flags, deadline)


def apply(said: dict[str, str], options: pb.RequestOptions) -> None:
    """What the headers ask of this request. Raises Refused."""
    if TASK in said:
        options.task_hint = said[TASK]
    if REQUEST_ID in said:
        options.request_id = said[REQUEST_ID]
    if CACHE_TTL in said:
        options.cache.ttl.FromNanoseconds(round(_seconds(said[CACHE_TTL], CACHE_TTL) * 1e9))
    if _CACHE_CONTROL in said:
        _cache_control(said[_CACHE_CONTROL], options.cache)
    if CONVERSATION_ID in said:
        options.conversation_id = said[CONVERSATION_ID]
    if MEMORY in said:
        options.memory = _MEMORIES[word(said[MEMORY], _MEMORIES, MEMORY)]
    if REGIONS in said:
        options.region_tags.extend(tag.strip() for tag in said[REGIONS].split(","))
    if MOST_COST in said:
        options.max_cost_nanousd = _whole_number(said[MOST_COST], MOST_COST, _MONEY_DIGITS)


def wants_decision(said: dict[str, str]) -> bool:
    """Whether the whole Decision is to come with the answer."""
    value = said.get(DECISION)
    if value not in (None, "full"):
        raise wrong(DECISION, "must be full")
    return value is not None


def of_decision(decision: decision_pb2.Decision) -> Headers:
    """The Decision in short."""
    headers = [
        (b"x-omnisphere-task", _value(decision.task_type)),
        (b"x-omnisphere-attempts", b"%d" % len(decision.attempts)),
        (b"x-omnisphere-fallbacks", b"%d" % decision.fallbacks),
        (b"x-omnisphere-cache", _OUTCOMES[decision.cache.outcome]),
        (b"x-omnisphere-simulated", b"true" if decision.simulated else b"false"),
        (b"x-omnisphere-cost-nanousd", _cost(decision.cost)),
    ]
    if decision.model:
        headers.append((b"x-omnisphere-model", _value(decision.model)))
    if decision.strategy:  # the cache answers before anything is planned
        headers.append((b"x-omnisphere-strategy", _value(decision.strategy)))
    if decision.policy:
        headers.append((b"x-omnisphere-policy", _value(decision.policy)))
    if decision.shared_with_request_id:
        headers.append((b"x-omnisphere-shared-with", _value(decision.shared_with_request_id)))
    if decision.replayed:
        headers.append((b"x-omnisphere-replayed", b"true"))
    if decision.degradations:
        lost = (
            f"{chat_pb2.Degradation.Kind.Name(one.kind).removeprefix('KIND_').lower()}:{one.subject}"
            for one in decision.degradations
        )
        headers.append((b"x-omnisphere-degradations", _value(",".join(lost))))
    return headers


def of_embedding(response: pb.EmbedResponse) -> Headers:
    """What there is to say about vectors."""
    return [
        (b"x-omnisphere-model", _value(response.model)),
        (b"x-omnisphere-cost-nanousd", _cost(response.cost)),
        (b"x-omnisphere-simulated", b"true" if response.simulated else b"false"),
    ]


def of_plan(plan: Sequence[decision_pb2.Candidate], model: str) -> Headers:
    """What is known when a stream begins: the models in the order in which they are asked, and the one that answers."""
    models = [candidate.model for candidate in plan if not candidate.dropped]
    return [(b"x-omnisphere-plan", _value(",".join(models))), (b"x-omnisphere-model", _value(model))]


def of_request(request_id: str, dialect_header: bytes) -> Headers:
    """The request's id, under our name and under the one that the dialect's clients look for."""
    value = _value(request_id)
    return [(b"x-omnisphere-request-id", value), (dialect_header, value)]


def _seconds(value: str, name: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        raise wrong(name, "is not a number of seconds") from None
    if not (math.isfinite(seconds) and 0 < seconds <= _LONGEST_SECONDS):
        raise wrong(name, "is not above 0 and at most 7 days of seconds")
    return seconds


def _cache_control(value: str, control: cache_pb.CacheControl) -> None:
    """https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1; directives that mean nothing here are ignored."""
    for directive in value.lower().split(","):
        name, _, argument = directive.strip().partition("=")
        if name == "no-cache":
            control.no_cache = True
        elif name == "no-store":
            control.no_store = True
        elif name == "only-if-cached":
            control.only_if_cached = True
        elif name == "max-age":
            control.max_age.FromSeconds(_whole_number(argument.strip('"'), _CACHE_CONTROL, _SECONDS_DIGITS, "max-age "))


def _whole_number(text: str, header: str, digits: int, part: str = "") -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise wrong(header, f"{part}is not a whole number of at most {digits} digits")
    return int(text)


def _cost(cost: chat_pb2.Cost) -> bytes:
    return b"%d" % cost.nanousd if cost.priced else b"unpriced"


def _value(text: str) -> bytes:
    """Text that may stand in a header: names of operators may hold anything."""
    return _SAFE.sub("_", text)[:_LONGEST_VALUE].encode("ascii")


_OUTCOMES = {
    number: name.removeprefix("CACHE_OUTCOME_").lower().encode() for name, number in cache_pb.CacheOutcome.items()
}
