"""python -m bench.routing.decision: CPU of a plan for a prompt of 2,000 characters, beside a bare echo hop.

The router's own Planner with the predictor that ships, over the catalogue that a mesh with simulated models lists;
every prompt is another one, without an embedding. Windows alternate with those of a grpc.aio echo of a small answer, 16
calls at once; a ratio is the median over rounds. CPU of planning is this process's, of the echo its own process's.
A table plans without a prediction; what that takes while the model answers is `forecast`.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench.mesh.processes import Servers, cpu_seconds
from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.call_context import CallContext
from services.chassis.identity import Caller
from services.chassis.logs import Log
from services.chassis.settings import environment
from services.router.admit import Ask, admit
from services.router.catalog import Catalogue
from services.router.learning.artefact_keeper import first_artefact
from services.router.learning.forecasts import Forecasts
from services.router.planner import Planner
from services.router.policy import load_policies
from services.router.quality.predictor import Predictor
from services.together.one_process import OneProcess, load

STRATEGIES = ("rule", "cost_aware", "cascade")
_CHARACTERS, _PLANS, _CALLS, _AT_ONCE, _ROUNDS = 2_000, 400, 2_000, 16, 7
# Prompts are made of the words of our own prose.
_WORDS = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text().split()


async def _catalogue(folder: Path, environ: dict[str, str]) -> Catalogue:
    """What a mesh with simulated models lists."""
    free = {f"OMNISPHERE_ROUTER_{name}": "0" for name in ("PORT", "METRICS_PORT", "HTTP_PORT")}
    simulated = {"OMNISPHERE_STATE": str(folder), "OMNISPHERE_SIMULATOR": "on", "OMNISPHERE_ROUTER_DRAIN": "0s"}
    with (folder / "log").open("w") as log:
        mesh = OneProcess(load(environ | free | simulated), Log("omnisphere", stream=log))
        await mesh.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.port}") as channel:
            listed = await RouterServiceStub(channel).ListModels(pb.ListModelsRequest())
        await mesh.stop()
    models: list[model_pb2.Model] = list(listed.models)
    return Catalogue(tuple(models), "1")


def _ask(policy: str, chance: random.Random) -> Ask:
    text = " ".join(chance.choices(_WORDS, k=_CHARACTERS))[:_CHARACTERS]
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])
    request = pb.CompleteRequest(conversation=chat_pb2.Conversation(messages=[message]))
    request.options.policy = policy
    call = CallContext(Caller("default"), "", "0" * 31 + "1", "00", None)
    return admit(request, call, load_policies(None), now=0.0)


def _planned(planner: Planner, catalogue: Catalogue, asks: list[Ask]) -> float:
    """CPU seconds of a plan."""
    before = time.process_time()
    for ask in asks:
        planner.plan(ask, "simple_qa", catalogue)
    return (time.process_time() - before) / len(asks)


def _foretold(planner: Planner, catalogue: Catalogue, asks: list[Ask]) -> float:
    """CPU seconds of a prediction that a plan did without."""
    facts = [planner.plan(ask, "simple_qa", catalogue)[1] for ask in asks]
    before = time.process_time()
    for each in facts:
        _ = each.forecast
    return (time.process_time() - before) / len(asks)


async def _echoed(stub: Any, pid: int) -> float:  # noqa: ANN401 - a stub of gRPC
    """CPU seconds of a call to the echo."""
    before, numbers = cpu_seconds([pid]), iter(range(_CALLS))

    async def caller() -> None:
        for _ in numbers:
            await stub.Complete(pb.CompleteRequest())

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
    return (cpu_seconds([pid]) - before) / _CALLS


async def measure() -> dict[str, float]:
    """Microseconds of CPU, and the median ratio of each strategy."""
    servers, chance = Servers(), random.Random(1)  # noqa: S311 - no secret
    environ = {name: environment().get(name, "") for name in ("PATH", "PYTHONPATH")}
    try:
        catalogue = await _catalogue(servers.folder, environ)
        planner = Planner(Forecasts(Predictor(first_artefact(None))))
        answer = servers.folder / "answer"
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(text="answer " * 20)])
        answer.write_bytes(pb.CompleteResponse(message=message).SerializeToString())
        echo = servers.python("bench.mesh.echo", "--answer", str(answer), environ=environ)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{echo.port}") as channel:
            stub = RouterServiceStub(channel)
            rounds = []
            for _ in range(_ROUNDS):
                row = {
                    name: _planned(planner, catalogue, [_ask(name, chance) for _ in range(_PLANS)])
                    for name in STRATEGIES
                }
                row["forecast"] = _foretold(planner, catalogue, [_ask("rule", chance) for _ in range(_PLANS)])
                rounds.append(row | {"echo": await _echoed(stub, echo.process.pid)})
    finally:
        servers.close()
    found = {f"{name}_us": round(1e6 * statistics.median(row[name] for row in rounds), 1) for name in rounds[0]}
    for name in STRATEGIES:
        found[f"{name}_vs_echo"] = round(statistics.median(row[name] / row["echo"] for row in rounds), 2)
    return found


def main() -> int:
    """Run it."""
    print(json.dumps(uvloop.run(measure())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
