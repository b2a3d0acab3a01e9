"""Settings of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.chassis import settings as chassis
from services.chassis.server_settings import MOST_PORT
from services.chassis.settings import setting

PREFIX = "OMNISPHERE_SIMULATOR"


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Where the simulator listens, and how much of the models' pace it keeps."""

    host: str = setting("127.0.0.1", "The address to listen on.")
    port: int = setting(9180, "The HTTP port; 0 takes a free one.", least=0, most=MOST_PORT)
    latency_scale: float = setting(
        1.0, "How much of the models' pace is kept; 0: no waiting at all.", least=0, most=1_000
    )
    fleet: Path | None = setting(None, "A fleet.toml in place of the bundled one.")
    replay_outcomes: Path | None = setting(
        None, "A folder of recorded outcomes whose models answer in place of the fleet's, each with what it said then."
    )
    replay_set: str = setting("", "Which set of that folder; empty: the only one.")


def load(environ: Mapping[str, str]) -> SimulatorSettings:
    """The settings in this environment. Raises StartError that names every variable that is wrong."""
    return chassis.load(SimulatorSettings, environ, prefix=PREFIX, others={"OMNISPHERE_SIMULATOR_URL"})
