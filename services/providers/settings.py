"""Settings of the providers service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from services.chassis.server_settings import MOST_PORT, ServerSettings
from services.chassis.settings import HTTP_URL, Secret, StartError, setting, state_directory
from services.chassis.settings import load as load_settings
from services.providers.balancer import BalancerName
from services.providers.keys import found_in
from services.providers.pricing import UnpricedPolicy
from services.providers.via import Via

PREFIX = "OMNISPHERE_PROVIDERS"
# Less is no time to wait.
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidersSettings(ServerSettings):
    """Where to listen, whom to call, how long to wait. Keys come from the variables that vendors.toml names."""

    port: int = setting(50054, "The gRPC port; 0 takes a free one.", least=0, most=MOST_PORT)
    metrics_port: int = setting(
        9464, "The port of /metrics; 0 takes a free one, -1 has none.", least=-1, most=MOST_PORT
    )
    trust_tenant: Literal["auto", "on", "off"] = setting("on", "Whether the router's word for the tenant is believed.")
    config: Path | None = setting(None, "providers.toml with further endpoints and models.")
    simulator: Literal["auto", "on", "off"] = setting(
        "auto",
        "Simulated models; auto: only when there is no endpoint; on: nothing else, keys are ignored; off: production.",
        env="OMNISPHERE_SIMULATOR",
    )
    simulator_url: str = setting(
        "http://127.0.0.1:9180", "Where the simulator listens.", env="OMNISPHERE_SIMULATOR_URL", form=HTTP_URL
    )
    discover: bool = setting(True, "Whether to look for local model servers.", env="OMNISPHERE_DISCOVER")
    discover_every: timedelta = setting(timedelta(seconds=30), "How often to look again.", least=timedelta(seconds=1))
    proxy: Secret | None = setting(
        None, "http://[user:password@]host:port through which vendors are asked; local servers never are."
    )
    connect_timeout: timedelta = setting(timedelta(seconds=5), "For the connection to a provider.", least=_TICK)
    first_token_timeout: timedelta = setting(
        timedelta(seconds=30), "For the first piece of an answer that streams.", least=_TICK
    )
    idle_timeout: timedelta = setting(
        timedelta(seconds=60), "For each pause within an answer; a comment ends none.", least=_TICK
    )
    stream_timeout: timedelta = setting(timedelta(minutes=15), "For a whole stream.", least=_TICK)
    whole_answer_timeout: timedelta = setting(
        timedelta(seconds=300), "For an answer that is not a stream: it comes when the model is done.", least=_TICK
    )
    attempts: int = setting(3, "How often a call is made at most, over all keys and endpoints of the model.", least=1)
    longest_wait: timedelta = setting(
        timedelta(seconds=2), "The longest wait before an attempt; a provider that asks for more is not asked again."
    )
    retry_budget: float = setting(0.2, "Further attempts, as a share of all calls.", least=0, most=1)
    balancer: BalancerName = setting(
        "power_of_two",
        "Which of several endpoints: the quicker and less busy of two drawn at random, or by weight alone.",
    )
    longest_rest: timedelta = setting(
        timedelta(hours=1),
        "The longest time that a refused key is left alone, whatever the provider asks for; 0s: never.",
    )
    breaker_failures: int = setting(5, "Failures in a row after which an endpoint is left alone for a while.", least=1)
    breaker_first: timedelta = setting(timedelta(seconds=5), "For how long at first; each failed probe doubles it.")
    breaker_most: timedelta = setting(timedelta(seconds=60), "For how long at most.")
    most_answer_bytes: int = setting(32 * 1024 * 1024, "The largest answer that is read.", least=1024)
    unpriced: UnpricedPolicy = setting(
        "allow",
        "A call of unknown price: refuse, estimate at the dearest price of its tier (marked), or allow (marked).",
    )
    ledger: bool = setting(True, "Whether attempts are kept: a JSON line and a row of a file under OMNISPHERE_STATE.")
    ledger_keep: timedelta = setting(timedelta(days=35), "How long the file keeps them; the lines go on.")
    state: Path = setting(
        Path("~/.local/state/omnisphere"), "Where files live that outlast the process.", env="OMNISPHERE_STATE"
    )
    # Not a variable of its own: the keys that were found, by variable. Set by load().
    keys: Mapping[str, Secret] = field(default_factory=dict, metadata={"env": "-", "text": ""})

    @property
    def needed_keys(self) -> Mapping[str, Secret] | None:
        """The keys among which an endpoint's must be; None: simulated models need none."""
        return None if self.simulator == "on" else self.keys

    def ledger_file(self) -> Path:
        """Where the rows are."""
        return self.state / "ledger" / "attempts.sqlite3"


def load(environ: Mapping[str, str]) -> ProvidersSettings:
    """The settings in this environment. Raises StartError that names every variable that is wrong."""
    settings = load_settings(ProvidersSettings, environ, prefix=PREFIX)
    try:
        Via(settings.proxy.reveal() if settings.proxy else "")
    except ValueError as failure:
        raise StartError(f"{PREFIX}_PROXY: {failure}") from None
    return replace(settings, keys=found_in(environ), state=state_directory(environ))
