"""python -m services.simulator"""

from __future__ import annotations

import os
import sys

import uvloop

from services.chassis.logs import Log, quieten_libraries
from services.chassis.run import end_with_parent
from services.chassis.server import catch_signals
from services.chassis.settings import StartError, environment
from services.simulator.fleet import FleetError
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings, load


def main() -> None:
    """Run the simulator until it is told to stop. Exit code 2 when settings, the fleet or the port are wrong."""
    end_with_parent()
    try:
        uvloop.run(_serve(load(environment())))
    except (StartError, FleetError) as failure:
        for line in str(failure).splitlines():
            print(f"simulator: {line}", file=sys.stderr)
        sys.exit(2)


async def _serve(settings: SimulatorSettings) -> None:
    log = Log("simulator")
    quieten_libraries(log)
    asked_to_stop = catch_signals()
    simulator = Simulator()
    try:
        await simulator.start(settings)
    except OSError as failure:
        where = f"{settings.host}:{settings.port}"
        cause = os.strerror(failure.errno) if failure.errno else "it is not ours"
        raise StartError(f"port {where} cannot be opened: {cause}") from failure
    log.announce("ready", host=settings.host, port=simulator.port)
    await asked_to_stop.wait()
    await simulator.stop()
    log.announce("stopped")


if __name__ == "__main__":
    main()
