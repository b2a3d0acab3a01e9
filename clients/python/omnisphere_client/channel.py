"""How a channel to the router is set up: round robin over healthy addresses, safe retries, keepalive.

The numbers are those of services/chassis/client.py and come from failure tests: with them, restarts, rolling
replacements with new addresses and silent cuts lost no call. A test keeps the two equal. Which methods the channel
may repeat stands in service_config.json, the one file that clients in every language load.
"""

from __future__ import annotations

import os
import re
from importlib import resources

from omnisphere_client.version import __version__

# What gRPC itself lets through: above the router's own limit of 20 MiB, so that the refusal names the limit.
TRANSPORT_BYTES = 32 * 1024 * 1024
# Not below 10 s: servers of the mesh permit no quicker pings.
KEEPALIVE_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 5_000
TENANT_KEY = "omnisphere-tenant"
_TENANT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def options() -> list[tuple[str, int | str]]:
    """The channel options, with the bundled service config."""
    config = resources.files("omnisphere").joinpath("service_config.json").read_text(encoding="utf-8")
    return [
        ("grpc.service_config", config),
        ("grpc.enable_retries", 1),
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
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.primary_user_agent", f"omnisphere-client/{__version__}"),
    ]


def address(target: str) -> str:
    """The target as gRPC wants it: `host:port` means all addresses behind the name; `unix:`, `dns:` ... stay."""
    scheme = target.partition(":")[0]
    if scheme in ("dns", "unix", "unix-abstract", "ipv4", "ipv6", "xds") and target != scheme:
        return target
    if not target or "/" in target:
        raise ValueError(f"target {target!r} is not host:port")
    return f"dns:///{target}"


def process() -> int:
    """Which process this is."""
    return os.getpid()


def check_process(made_in: int) -> None:
    """Raises RuntimeError in a child that was forked with a client in it: gRPC would end the whole process there."""
    if made_in != os.getpid():
        raise RuntimeError("the client was made before this process was forked; make one in each process")


def metadata(tenant: str) -> tuple[tuple[str, str], ...]:
    """What every call carries beside its message. Raises ValueError for a tenant that no router takes."""
    if tenant and not _TENANT.fullmatch(tenant):
        raise ValueError("a tenant is 1 to 64 of [A-Za-z0-9_.-]")
    return ((TENANT_KEY, tenant),) if tenant else ()
