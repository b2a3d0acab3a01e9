"""The settings of the context service: every variable with its default and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from services.chassis import settings as chassis
from services.chassis.server_settings import ServerSettings
from services.chassis.settings import StartError, setting, state_directory

_PREFIX = "OMNISPHERE_CONTEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings(ServerSettings):
    """Where it listens and how it counts. The variable of a field is OMNISPHERE_CONTEXT_<FIELD>."""

    port: int = setting(50053, "The gRPC port; 0 takes a free one.")
    metrics_port: int = setting(9463, "The port of /metrics; 0 takes a free one, -1 has none.")
    trust_tenant: Literal["auto", "on", "off"] = setting("on", "Whether the router's word for the tenant is believed.")
    memo_messages: int = setting(32_768, "How many messages' counts are remembered; about 300 bytes each.")
    inline_bytes: int = setting(20_000, "The longest conversation that is counted on the event loop.")
    threads: int = setting(2, "Threads that count longer ones.")
    waiting: int = setting(256, "Counts that may wait for a thread; beyond it OVERLOADED.")
    conversations: int = setting(128, "How many long conversations' indexes are kept; about 1 MB each.")
    vectors: int = setting(32_768, "How many turns' vectors are kept; 1.5 KB each.")
    waiting_vectors: int = setting(16_384, "Turns whose vectors may wait to be made; more are found by words alone.")
    policy: Literal["retrieve", "window", "summarise"] = setting(
        "retrieve", "What happens to turns that do not fit, where a Fit does not say."
    )
    providers: str = setting("127.0.0.1:50054", "host:port of the providers service, for summaries.")
    summary_model: str = setting("", "The model that sums up; empty: the cheapest that can be called.")
    summary_timeout: timedelta = setting(timedelta(seconds=60), "For one summary.")
    waiting_summaries: int = setting(256, "Conversations that may wait for summaries; more ask again later.")
    state: Path = setting(
        Path("~/.local/state/omnisphere"), "Where files live that outlast the process.", env="OMNISPHERE_STATE"
    )

    def store_file(self) -> Path:
        """Where memory, cut turns and calibrations are."""
        return self.state / "context" / "context.sqlite3"


def load(environ: Mapping[str, str]) -> ContextSettings:
    """The settings of this process. Raises StartError that names every variable that is wrong."""
    loaded = replace(chassis.load(ContextSettings, environ, prefix=_PREFIX), state=state_directory(environ))
    least = {
        "memo_messages": 1,
        "inline_bytes": 0,
        "threads": 1,
        "waiting": 0,
        "conversations": 1,
        "vectors": 1,
        "waiting_vectors": 1,
        "waiting_summaries": 0,
    }
    problems = [
        f"{_PREFIX}_{name.upper()}: must be at least {bound}"
        for name, bound in least.items()
        if getattr(loaded, name) < bound
    ]
    if problems:
        raise StartError("\n".join(problems))
    return loaded
