"""The settings of the context service: every variable with its default and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from services.chassis import settings as chassis
from services.chassis.server_settings import MOST_PORT, ServerSettings
from services.chassis.settings import HOST_PORT, setting, state_directory

PREFIX = "OMNISPHERE_CONTEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings(ServerSettings):
    """Where it listens and how it counts. The variable of a field is OMNISPHERE_CONTEXT_<FIELD>."""

    port: int = setting(50053, "The gRPC port; 0 takes a free one.", least=0, most=MOST_PORT)
    metrics_port: int = setting(
        9463, "The port of /metrics; 0 takes a free one, -1 has none.", least=-1, most=MOST_PORT
    )
    trust_tenant: Literal["auto", "on", "off"] = setting("on", "Whether the router's word for the tenant is believed.")
    memo_messages: int = setting(32_768, "How many messages' counts are remembered; about 300 bytes each.", least=1)
    inline_bytes: int = setting(20_000, "The longest conversation that is counted on the event loop.", least=0)
    threads: int = setting(2, "Threads that count longer ones.", least=1)
    waiting: int = setting(256, "Counts that may wait for a thread; beyond it OVERLOADED.", least=0)
    conversations: int = setting(128, "How many long conversations' indexes are kept; about 1 MB each.", least=1)
    vectors: int = setting(32_768, "How many turns' vectors are kept; 1.5 KB each.", least=1)
    waiting_vectors: int = setting(
        16_384, "Turns whose vectors may wait to be made; more are found by words alone.", least=1
    )
    policy: Literal["retrieve", "window", "summarise"] = setting(
        "retrieve", "What happens to turns that do not fit, where a Fit does not say."
    )
    providers: str = setting("127.0.0.1:50054", "host:port of the providers service, for summaries.", form=HOST_PORT)
    summary_model: str = setting("", "The model that sums up; empty: the cheapest that can be called.")
    summary_timeout: timedelta = setting(timedelta(seconds=60), "For one summary.", least=timedelta(milliseconds=1))
    waiting_summaries: int = setting(256, "Conversations that may wait for summaries; more ask again later.", least=0)
    state: Path = setting(
        Path("~/.local/state/omnisphere"), "Where files live that outlast the process.", env="OMNISPHERE_STATE"
    )

    def store_file(self) -> Path:
        """Where memory, cut turns and calibrations are."""
        return self.state / "context" / "context.sqlite3"


def load(environ: Mapping[str, str]) -> ContextSettings:
    """The settings of this process. Raises StartError that names every variable that is wrong."""
    return replace(chassis.load(ContextSettings, environ, prefix=PREFIX), state=state_directory(environ))
