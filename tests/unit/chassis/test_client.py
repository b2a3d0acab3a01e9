"""The channel's settings: what is repeated, what never, and that both sides agree on keepalive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import descriptor_pool

from omnisphere.cache.v1 import cache_service_pb2
from omnisphere.context.v1 import context_service_pb2
from omnisphere.providers.v1 import providers_service_pb2
from omnisphere.router.v1 import admin_service_pb2, memory_service_pb2, router_service_pb2
from services.chassis.client import CONVERSATION_BYTES, KEEPALIVE_MS, TRANSPORT_BYTES, service_config
from services.chassis.server import _options
from tests.unit.chassis.tiny import settings

FILES = (
    router_service_pb2,
    admin_service_pb2,
    memory_service_pb2,
    cache_service_pb2,
    context_service_pb2,
    providers_service_pb2,
)
# They spend money, or are not idempotent.
NEVER = {"Complete", "StreamComplete", "Generate", "StreamGenerate", "Store", "Remember", "Embed", "RecordFeedback"}


def config(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(service_config("a.b.C", **fields))
    return made


def policy_of(service: str, method: str) -> dict[str, Any]:
    """The entry that gRPC takes: that of the method, else that of its service."""
    found = {}
    for entry in config()["methodConfig"]:
        for name in entry["name"]:
            if name["service"] == service and name.get("method", method) == method:
                found["method" in name] = entry
    return found.get(True) or found.get(False) or {}


METHODS = [
    (service.full_name, method.name)
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


def test_calls_go_round_over_healthy_addresses():
    assert config()["loadBalancingConfig"] == [{"round_robin": {}}]
    assert config()["healthCheckConfig"] == {"serviceName": "a.b.C"}
    assert config()["retryThrottling"] == {"maxTokens": 10, "tokenRatio": 0.1}


@pytest.mark.parametrize(("service", "method"), METHODS, ids=[method for _, method in METHODS])
def test_only_what_may_be_repeated_is_and_only_when_nobody_answered(service, method):
    retry = policy_of(service, method).get("retryPolicy")
    if method in NEVER:
        assert retry is None
    if retry is not None:
        assert retry["maxAttempts"] <= 5
        assert retry["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_what_must_never_be_repeated_exists():
    assert {method for _, method in METHODS} >= NEVER


def test_every_name_in_the_file_exists_and_none_stands_twice():
    pool = descriptor_pool.Default()
    names = [(name["service"], name.get("method")) for entry in config()["methodConfig"] for name in entry["name"]]
    assert len(set(names)) == len(names)
    for service, method in names:
        found = pool.FindServiceByName(service)
        assert method is None or method in found.methods_by_name


@pytest.mark.parametrize("service", ["router.v1.RouterService", "providers.v1.ProvidersService"])
def test_every_method_of_a_service_that_must_be_there_waits_for_it(service):
    name = f"omnisphere.{service}"
    assert all(policy_of(name, method)["waitForReady"] for of, method in METHODS if of == name)


@pytest.mark.parametrize("service", ["cache.v1.CacheService", "context.v1.ContextService"])
def test_no_method_of_a_service_that_may_be_away_waits_for_it(service):
    name = f"omnisphere.{service}"
    assert not any(policy_of(name, method).get("waitForReady") for of, method in METHODS if of == name)


def test_retries_can_be_left_out():
    assert not any("retryPolicy" in entry for entry in config(retries=False)["methodConfig"])


def test_clients_ping_no_more_often_than_servers_permit():
    permitted = dict(_options(settings()))["grpc.http2.min_ping_interval_without_data_ms"]
    assert permitted < KEEPALIVE_MS
    assert KEEPALIVE_MS >= 10_000


def test_the_transport_lets_through_what_our_own_limit_refuses():
    assert dict(_options(settings()))["grpc.max_receive_message_length"] == TRANSPORT_BYTES > CONVERSATION_BYTES > 0
