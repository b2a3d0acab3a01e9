"""What headers ask for, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import Unauthenticated
from services.router.edge import headers
from services.router.edge.errors import Refused


def options(**said: str) -> pb.RequestOptions:
    made = pb.RequestOptions()
    headers.apply({name.replace("_", "-"): value for name, value in said.items()}, made)
    return made


def test_cache_control_is_read_as_http_has_it():
    control = options(cache_control="No-Cache, no-store, max-age=60, no-transform").cache
    assert (control.no_cache, control.no_store, control.only_if_cached) == (True, True, False)
    assert control.max_age.seconds == 60
    assert options(cache_control="only-if-cached").cache.only_if_cached
    assert options(x_omnisphere_cache_ttl="1.5").cache.ttl.ToMilliseconds() == 1_500


@pytest.mark.parametrize(
    "said",
    [
        {"cache_control": "max-age=soon"},
        {"cache_control": "max-age=-1"},
        {"x_omnisphere_cache_ttl": "0"},
        {"x_omnisphere_cache_ttl": "nan"},
        {"x_omnisphere_cache_ttl": "never"},
    ],
)
def test_what_cannot_be_read_is_refused(said: dict[str, Any]):
    with pytest.raises(Refused):
        options(**said)


def test_repeated_headers_are_joined_and_others_left_alone():
    raw = [(b"cache-control", b"no-cache"), (b"authorization", b"Bearer key"), (b"cache-control", b"no-store")]
    assert headers.said(raw) == {"cache-control": "no-cache, no-store"}


def test_who_calls_until_when_and_under_which_trace():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    said = {"omnisphere-tenant": "acme", "x-omnisphere-timeout": "2.5", "traceparent": trace}
    call = headers.call_of(said, believed=True, now=100)
    assert (call.caller.tenant, call.deadline, call.trace_id[:4]) == ("acme", 102.5, "0af7")
    assert call.request_id.startswith("req-")
    with pytest.raises(Unauthenticated):
        headers.call_of(said, believed=False, now=100)
    with pytest.raises(Refused):
        headers.call_of({"x-omnisphere-request-id": "x" * 129}, believed=True, now=100)
    with pytest.raises(Refused):
        headers.wants_decision({"x-omnisphere-decision": "yes"})


def test_a_decision_in_short():
    lost = chat_pb2.Degradation(kind=chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE, subject="cache\r\nx: y")
    decision = decision_pb2.Decision(
        policy="p",
        model="m",
        replayed=True,
        shared_with_request_id="r",
        cache=decision_pb2.CacheDecision(outcome=cache_pb.CACHE_OUTCOME_SEMANTIC_HIT),
        degradations=[lost],
    )
    said = dict(headers.of_decision(decision))
    assert said[b"x-omnisphere-cache"] == b"semantic_hit"
    assert said[b"x-omnisphere-cost-nanousd"] == b"unpriced"
    assert said[b"x-omnisphere-degradations"] == b"cache_unavailable:cache_x:_y"
    assert said[b"x-omnisphere-shared-with"] == b"r"
    assert b"x-omnisphere-strategy" not in said


def test_money_may_be_more_than_a_few_dollars():
    assert options(x_omnisphere_max_cost_nanousd="25000000000").max_cost_nanousd == 25_000_000_000
