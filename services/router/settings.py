"""Settings of the router."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from services.chassis.server_settings import MOST_PORT, ServerSettings
from services.chassis.settings import HOST_PORT, REDIS_URL, Secret, setting, state_directory
from services.chassis.settings import load as load_settings

PREFIX = "OMNISPHERE_ROUTER"
# Less is no time to wait.
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings(ServerSettings):
    """Where to listen, which peers to call, how long to wait for each."""

    port: int = setting(50051, "The gRPC port; 0 takes a free one.", least=0, most=MOST_PORT)
    metrics_port: int = setting(
        9461, "The port of /metrics; 0 takes a free one, -1 has none.", least=-1, most=MOST_PORT
    )
    http_port: int = setting(
        8088, "The port of the HTTP edge (docs/http.md); 0 takes a free one, -1 has none.", least=-1, most=MOST_PORT
    )
    cache: str = setting("127.0.0.1:50052", "host:port of the cache service.", form=HOST_PORT)
    context: str = setting("127.0.0.1:50053", "host:port of the context service.", form=HOST_PORT)
    providers: str = setting("127.0.0.1:50054", "host:port of the providers service.", form=HOST_PORT)
    routes: Path | None = setting(None, "routes.toml with further policies.")
    task_examples: Path | None = setting(None, "A TOML file with further examples of task types (docs/routing.md).")
    artefact: Path | None = setting(
        None, "What `omnisphere train` made, in place of the predictor that ships; a new file is taken up at once."
    )
    feedback_key: Secret | None = setting(
        None, "Signs feedback tokens, the same in all replicas; unset: tokens hold for one process."
    )
    redis: Secret | None = setting(
        None,
        "redis://[:password@]host:port/db, where routers share outcomes; unset: each learns from its own callers.",
        form=REDIS_URL,
    )
    channel_retries: bool = setting(True, "Whether channels repeat idempotent calls; off only to test the drain.")
    deadline: timedelta = setting(
        timedelta(seconds=300), "For a whole request, where the caller sets none.", least=_TICK
    )
    cache_timeout: timedelta = setting(
        timedelta(milliseconds=250),
        "For a look-up, twice where another router may be asking the model; then the answer goes without.",
        least=_TICK,
    )
    context_timeout: timedelta = setting(
        timedelta(seconds=2), "For fitting; then the conversation goes uncut.", least=_TICK
    )
    providers_patience: timedelta = setting(
        timedelta(seconds=5), "How long a call waits for a providers service that is away, for example restarting."
    )
    catalogue_every: timedelta = setting(
        timedelta(seconds=5), "How often the catalogue of models is refreshed.", least=timedelta(milliseconds=10)
    )
    remember_for: timedelta = setting(timedelta(minutes=10), "How long a request id replays its answer.")
    remember_bytes: int = setting(64 * 1024 * 1024, "Memory for answers that can be replayed.", least=0)
    hot_bytes: int = setting(
        64 * 1024 * 1024, "Memory for requests that the cache answers again and again; 0: each is read anew.", least=0
    )
    waiting_stores: int = setting(
        1024, "Answers that may wait to be stored; more are not stored, and counted.", least=1
    )
    shadow_usd_per_day: float = setting(
        1.0,
        "What checks of cached answers and asking other models may cost a process in 24 hours; 0: neither is done.",
        least=0,
        most=1_000_000,
    )
    explore_share: float = setting(
        0.01,
        "The share of requests that two other models of the policy are asked, too, to learn of them; 0: none.",
        least=0,
        most=1,
    )
    ledger: bool = setting(True, "Whether requests are kept: a JSON line and a row of a file under OMNISPHERE_STATE.")
    ledger_keep: timedelta = setting(timedelta(days=35), "How long the file keeps them; the lines go on.")
    hash_key: Secret | None = setting(
        None, "Key of the prompt hashes in the ledger; unset: another one in each process."
    )

    state: Path = setting(
        Path("~/.local/state/omnisphere"), "Where files live that outlast the process.", env="OMNISPHERE_STATE"
    )

    def ledger_file(self) -> Path:
        """Where the rows are."""
        return self.state / "ledger" / "requests.sqlite3"

    def outcomes_file(self) -> Path:
        """Where outcomes are."""
        return self.state / "ledger" / "outcomes.sqlite3"

    def prompt_hash_key(self) -> bytes:
        """The key as bytes."""
        return self.hash_key.reveal().encode() if self.hash_key else secrets.token_bytes(32)


def load(environ: Mapping[str, str]) -> RouterSettings:
    """The settings in this environment. Raises StartError that names every variable that is wrong."""
    settings = load_settings(RouterSettings, environ, prefix=PREFIX)
    return replace(settings, state=state_directory(environ))
