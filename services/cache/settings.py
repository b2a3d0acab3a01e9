"""The settings of the cache service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from services.chassis import settings
from services.chassis.server_settings import MOST_PORT, ServerSettings
from services.chassis.settings import REDIS_URL, Secret, setting

PREFIX = "OMNISPHERE_CACHE"
# The contract's limit of CacheControl.ttl.
LONGEST_TTL = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings(ServerSettings):
    """Where the cache listens, how much it keeps, and for how long."""

    port: int = setting(50052, "The gRPC port; 0 takes a free one.", least=0, most=MOST_PORT)
    metrics_port: int = setting(
        9462, "The port of /metrics; 0 takes a free one, -1 has none.", least=-1, most=MOST_PORT
    )
    trust_tenant: Literal["auto", "on", "off"] = setting("on", "Whether the router's word for the tenant is believed.")
    most_entries: int = setting(100_000, "Answers kept at once; beyond it those go that were not used lately.", least=1)
    most_bytes: int = setting(
        256 * 1024 * 1024, "Memory for answers, in bytes; beyond it those go that were not used lately.", least=1
    )
    tenant_share: float = setting(
        0.5, "Share of both that one tenant may have; beyond it entries of its own go.", least=0, most=1
    )
    default_ttl: timedelta = setting(
        timedelta(hours=24),
        "How long an answer is kept where the caller says nothing.",
        least=timedelta(milliseconds=1),
        most=LONGEST_TTL,
    )
    semantic: bool = setting(True, "Answer requests of the same meaning, too; off: the same request alone.")
    false_hit_budget: float = setting(
        0.005,
        "Share of all look-ups that may be answered wrongly by meaning; the verifier's threshold follows.",
        least=0,
        most=1,
    )
    check_share: float = setting(
        0.02,
        "Share of answers by meaning that the caller is asked to check; of unsure ones four times as many.",
        least=0,
        most=1,
    )
    verifier: Path | None = setting(None, "The verifier's file; unset: the one that ships.")
    lease: timedelta = setting(
        timedelta(seconds=10), "How long one router may ask the model while others wait for its answer; 0s: none waits."
    )
    redis: Secret | None = setting(
        None,
        "redis://[:password@]host:port/db, where replicas share entries; unset: this process alone has them.",
        form=REDIS_URL,
    )
    persist: bool = setting(True, "Keep answers on disk, so that a restart starts warm.")
    epoch: int = setting(0, "Any other number than before: no answer that was kept so far is served again.")
    state: Path = setting(
        Path("~/.local/state/omnisphere"), "Where files live that outlast the process.", env="OMNISPHERE_STATE"
    )


def load(environ: Mapping[str, str]) -> CacheSettings:
    """The settings that the environment says. Raises StartError that names every variable that is wrong."""
    loaded = settings.load(CacheSettings, environ, prefix=PREFIX)
    return replace(loaded, state=settings.state_directory(environ))
