"""The one way to open a channel to a service of the mesh.

The numbers come from failure tests: with them, restarts, rolling replacements with new addresses and silent cuts lost
no call. Which methods may be repeated by the channel stands in protos/omnisphere/service_config.json, which clients in
every language load.
"""

from __future__ import annotations

import json
from importlib import resources

import grpc

# The largest message of a method that carries a conversation, and of any other. Never -1: gzip bombs.
CONVERSATION_BYTES = 20 * 1024 * 1024
MESSAGE_BYTES = 4 * 1024 * 1024
# What gRPC itself lets through: above CONVERSATION_BYTES, so that the refusal is ours and says the limit.
TRANSPORT_BYTES = 32 * 1024 * 1024

KEEPALIVE_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 5_000


def service_config(health_name: str, *, retries: bool = True) -> str:
    """The gRPC service config as JSON: round robin over healthy addresses, retries only where they are safe.

    `health_name` is the name whose health is watched; a server that drains says NOT_SERVING, and its callers leave
    before it stops. `retries` false leaves the drain alone to lose no call (tests).
    """
    text = resources.files("omnisphere").joinpath("service_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    config["healthCheckConfig"] = {"serviceName": health_name}
    if not retries:
        for method in config["methodConfig"]:
            method.pop("retryPolicy", None)
    return json.dumps(config)


def open_channel(target: str, *, health_name: str, retries: bool = True) -> grpc.aio.Channel:
    """A channel to `host:port`; all addresses behind the name are used.

    One per peer, made in the wiring, closed at stop.
    """
    options: list[tuple[str, int | str]] = [
        ("grpc.service_config", service_config(health_name, retries=retries)),
        ("grpc.enable_retries", int(retries)),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.dns_min_time_between_resolutions_ms", 5_000),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.max_receive_message_length", TRANSPORT_BYTES),
        ("grpc.max_send_message_length", TRANSPORT_BYTES),
        # Channels of one process must not share connections: each test, each peer its own.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.aio.insecure_channel(f"dns:///{target}", options=options)
