"""The settings that every service has: where it listens, how it drains, whom it believes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from services.chassis.settings import setting

MOST_PORT = 65_535
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Base of each service's settings. The variable of a field is OMNISPHERE_<SERVICE>_<FIELD>."""

    host: str = setting("127.0.0.1", "The address to listen on; 0.0.0.0 in a container.")
    port: int = setting(0, "The gRPC port; 0 takes a free one.", least=0, most=MOST_PORT)
    metrics_port: int = setting(0, "The port of /metrics; 0 takes a free one, -1 has none.", least=-1, most=MOST_PORT)
    drain: timedelta = setting(
        timedelta(seconds=1), "From SIGTERM until the server stops, so that callers can leave; 5s in production."
    )
    grace: timedelta = setting(timedelta(seconds=10), "How long calls may go on after the drain.")
    reflection: bool = setting(True, "gRPC reflection; off in production.")
    trust_tenant: Literal["auto", "on", "off"] = setting(
        "auto", "Whether the tenant in a call's metadata is believed; auto: on loopback only."
    )
    most_calls: int = setting(512, "Calls served at once; beyond it OVERLOADED.", least=1)
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "The least level that is logged.")

    def believes_tenant(self) -> bool:
        """Whether a tenant in metadata is accepted."""
        return self.trust_tenant == "on" or (self.trust_tenant == "auto" and self.host in _LOOPBACK)
