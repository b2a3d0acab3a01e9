"""Settings of the providers service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from services.chassis.server_settings import ServerSettings
from services.chassis.settings import Secret, setting, state_directory
from services.chassis.settings import load as load_settings
from services.providers.endpoints import KEY_SUFFIX

PREFIX = "OMNISPHERE_PROVIDERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidersSettings(ServerSettings):
    """Where to listen, whom to call, how long to wait. Keys come from the variables that vendors.toml names."""

    port: int = setting(50054, "The gRPC port; 0 takes a free one.")
    metrics_port: int = setting(9464, "The port of /metrics; 0 takes a free one, -1 has none.")
    trust_tenant: Literal["auto", "on", "off"] = setting("on", "Whether the router's word for the tenant is believed.")
    config: Path | None = setting(None, "providers.toml with further endpoints and models.")
    simulator: Literal["auto", "on", "off"] = setting(
        "auto",
        "Simulated models; auto: only when there is no endpoint; on: nothing else, keys are ignored; off: production.",
        env="OMNISPHERE_SIMULATOR",
    )
    simulator_url: str = setting(
        "http://127.0.0.1:9180", "Where the simulator listens.", env="OMNISPHERE_SIMULATOR_URL"
    )
    discover: bool = setting(True, "Whether to look for local model servers.", env="OMNISPHERE_DISCOVER")
    discover_every: timedelta = setting(timedelta(seconds=30), "How often to look again.")
    connect_timeout: timedelta = setting(timedelta(seconds=5), "For the connection to a provider.")
    first_byte_timeout: timedelta = setting(timedelta(seconds=30), "For the first byte of a stream.")
    whole_answer_timeout: timedelta = setting(
        timedelta(seconds=300), "For an answer that is not a stream: its first byte comes when the model is done."
    )
    idle_timeout: timedelta = setting(timedelta(seconds=60), "For each pause within an answer.")
    most_answer_bytes: int = setting(32 * 1024 * 1024, "The largest answer that is read.")
    ledger: bool = setting(True, "Whether attempts are kept: a JSON line and a row of a file under OMNISPHERE_STATE.")
    ledger_keep: timedelta = setting(timedelta(days=35), "How long the file keeps them; the lines go on.")
    state: Path = setting(
        Path("~/.local/state/omnisphere"), "Where files live that outlast the process.", env="OMNISPHERE_STATE"
    )
    # Not a variable of its own: the keys that were found, by variable. Set by load().
    keys: Mapping[str, Secret] = field(default_factory=dict, metadata={"env": "-", "text": ""})

    def ledger_file(self) -> Path:
        """Where the rows are."""
        return self.state / "ledger" / "attempts.sqlite3"


def load(environ: Mapping[str, str]) -> ProvidersSettings:
    """The settings in this environment. Raises StartError that names every variable that is wrong."""
    settings = load_settings(ProvidersSettings, environ, prefix=PREFIX)
    found = {name: value.strip() for name, value in environ.items() if name.endswith(KEY_SUFFIX)}
    keys = {name: Secret(value) for name, value in found.items() if value}
    return replace(settings, keys=keys, state=state_directory(environ))
