"""python -m bench.routing.mesh --train DIR --test DIR: does a whole mesh cascade as bench.routing reckons?

An artefact is trained on the training part of a set, as bench.routing does, and written to a file. Four processes
start with it, with a policy of its ladder, and with a simulator that replays the recorded answers of the test part;
every test prompt is asked past the cache. Quality is the recorded one of the model that answered, cost is that of the
Decision. Beside it stand the rows of bench.routing for the same prompts; exit code 1 where quality or cost differs by
more than 1 %. Both know what a router can know: models whose answers were recorded, and a prompt's length by its bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from pyarrow import parquet

from bench.routing.recorded import Prompt, asked, learned_from
from bench.routing.rows import Decider
from bench.score_routing import Truth, truths
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.client import open_channel
from services.chassis.settings import environment
from services.router.quality.artefact import Artefact
from services.together.four_processes import FourProcesses
from services.training.outcomes import Outcomes
from services.training.train import train

POLICY = "rehearsal"
_AT_ONCE, _SECONDS = 8, 30.0
_WITHIN = 0.01
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Walked:
    """One prompt's way: the models that were asked, the one whose answer was served, and what it cost."""

    calls: tuple[str, ...]
    served: str
    usd: float


def policy(artefact: Artefact) -> str:
    """A file of policies: the ladder that training found, at its rate."""
    return f'[policy.{POLICY}]\nstrategy = "cascade"\nreference_model = "{artefact.reference}"\njudge = "learned"\n'


def seen(outcomes: Outcomes, models: Sequence[str]) -> Outcomes:
    """The outcomes of these models alone, with lengths as the router counts them."""
    places = [outcomes.models.index(model) for model in models]
    answers, tokens = outcomes.answers, outcomes.out_tokens
    return replace(
        outcomes,
        in_tokens=np.array([float(counted(prompt)) for prompt in outcomes.prompts]),
        models=tuple(models),
        quality=outcomes.quality[:, places],
        usd=outcomes.usd[:, places],
        answers=None if answers is None else tuple(tuple(row[place] for place in places) for row in answers),
        out_tokens=None if tokens is None else tokens[:, places],
    )


def counted(prompt: str) -> int:
    """Tokens of a prompt that nobody has counted yet."""
    return -(-len(prompt.encode()) // 4)


def reckoned(artefact: Artefact, prompts: Sequence[Prompt], answers: Any, truth: Truth) -> list[Walked]:  # noqa: ANN401
    """What bench.routing makes of the prompts, in their order."""
    decider = Decider(artefact)
    found = []
    for number, prompt in enumerate(prompts):
        way = decider.row("", prompt, answers, 0)["cascade"]
        usd = truth.usd[number, [truth.models.index(model) for model in way["calls"]]].sum()
        found.append(Walked(tuple(way["calls"]), way["answer"], float(usd)))
    return found


async def through_the_mesh(environ: Mapping[str, str], prompts: Sequence[Prompt], logs: Path) -> list[Walked]:
    """What four processes make of the prompts, in their order."""
    mesh = FourProcesses(environ, logs=logs, simulator=True)
    await mesh.start()
    channel = open_channel(
        f"127.0.0.1:{mesh.services['router'].port}", health_name="omnisphere.router.v1.RouterService"
    )
    try:
        stub, places = RouterServiceStub(channel), asyncio.Semaphore(_AT_ONCE)

        async def ask(prompt: Prompt) -> Walked:
            async with places:
                return walked((await stub.Complete(_request(prompt), timeout=_SECONDS)).decision)

        return list(await asyncio.gather(*map(ask, prompts)))
    finally:
        await channel.close()
        await mesh.stop()


def _request(prompt: Prompt) -> pb.CompleteRequest:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=prompt.text)])
    request = pb.CompleteRequest(conversation=chat_pb2.Conversation(messages=[message]))
    request.options.policy, request.options.cache.no_cache = POLICY, True
    return request


def walked(decision: decision_pb2.Decision) -> Walked:
    calls = tuple(attempt.model for attempt in decision.attempts)
    return Walked(calls, decision.model, decision.cost.nanousd * 1e-9)


def figures(walked: Sequence[Walked], truth: Truth) -> dict[str, Any]:
    """Quality and cost over all prompts, beside the best single model."""
    row = np.arange(len(walked))
    quality = truth.quality[row, [truth.models.index(one.served) for one in walked]]
    usd, alone = sum(one.usd for one in walked), truth.usd[:, truth.best].sum()
    return {
        "quality": float(quality.mean()),
        "usd_per_1000": 1000 * usd / len(walked),
        "saving": float(1 - usd / alone),
        "calls": sum(len(one.calls) for one in walked),
    }


def compared(mine: Sequence[Walked], its: Sequence[Walked], truth: Truth) -> dict[str, Any]:
    """The figures of both, how far apart they are, and how many prompts went another way."""
    mesh, bench = figures(mine, truth), figures(its, truth)
    apart = {
        name: mesh[name] / bench[name] - 1 if bench[name] else float(mesh[name] != 0)
        for name in ("quality", "usd_per_1000")
    }
    other = Counter(
        (one.calls, one.served, two.calls, two.served)
        for one, two in zip(mine, its, strict=True)
        if (one.calls, one.served) != (two.calls, two.served)
    )
    return {"n": len(mine), "mesh": mesh, "bench": bench, "apart": apart, "another_way": other}


def show(found: Mapping[str, Any]) -> None:
    """For a person, and as JSON."""
    print(f"{'':<8}{'quality':>9}{'USD per 1,000':>15}{'saved, %':>10}{'calls':>7}")
    for name in ("mesh", "bench"):
        one = found[name]
        told = f"{one['quality']:>9.4f}{one['usd_per_1000']:>15.4f}{100 * one['saving']:>10.1f}{one['calls']:>7}"
        print(f"{name:<8}{told}")
    quality, usd = found["apart"]["quality"], found["apart"]["usd_per_1000"]
    print(f"apart: quality {quality:+.2%}, cost {usd:+.2%}; {found['another_way'].total()} of {found['n']} another way")
    for (calls, served, other_calls, other), times in found["another_way"].most_common(_SHOWN):
        print(f"    {times} x mesh asked {', '.join(calls)}, served {served}")
        print(f"      bench asked {', '.join(other_calls)}, served {other}")
    print(json.dumps({**found, "another_way": found["another_way"].total()}))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="bench.routing.mesh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="a folder of <set>.parquet to learn from")
    parser.add_argument(
        "--test", type=Path, required=True, help="a folder of <set>.parquet and <set>_responses.parquet"
    )
    parser.add_argument("--set", default="zeroeval", help="the set")
    parser.add_argument("--artefact", type=Path, help="keep the artefact there")
    parser.add_argument("--predictions", type=Path, help="a file for the way of each prompt, here and there")
    arguments = parser.parse_args()
    folders, name = (arguments.train.resolve(), arguments.test.resolve()), arguments.set
    responses = folders[1] / f"{name}_responses.parquet"
    files = (*(folder / f"{name}.parquet" for folder in folders), responses)
    if missing := [str(file) for file in files if not file.is_file()]:
        print(f"not there: {', '.join(dict.fromkeys(missing))}", file=sys.stderr)
        return 2
    inner = folders[0] == folders[1]
    models = [column.removeprefix("r__") for column in parquet.read_schema(responses).names if column != "id"]
    artefact = train(seen(learned_from(folders[0], name, inner=inner)[0], models), {"set": name})
    if artefact.escalation is None:
        print(f"{name}: no ladder earned its calls, so there is nothing to compare", file=sys.stderr)
        return 2
    prompts, answers = asked(folders[1], name, inner=inner)
    prompts = [replace(prompt, in_tokens=counted(prompt.text)) for prompt in prompts]
    truth = truths(*folders, name)[name]
    with tempfile.TemporaryDirectory(prefix="omnisphere-bench-") as temporary:
        folder = Path(temporary)
        file, routes = arguments.artefact or folder / "artefact.npz", folder / "routes.toml"
        file.write_bytes(artefact.dump())
        routes.write_text(policy(artefact))
        environ = {
            **{key: value for key, value in environment().items() if not key.startswith("OMNISPHERE_")},
            "OMNISPHERE_STATE": str(folder),
            "OMNISPHERE_SIMULATOR": "on",
            "OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0",
            "OMNISPHERE_SIMULATOR_REPLAY_OUTCOMES": str(folders[1]),
            "OMNISPHERE_SIMULATOR_REPLAY_SET": name,
            "OMNISPHERE_ROUTER_ARTEFACT": str(file),
            "OMNISPHERE_ROUTER_ROUTES": str(routes),
        }
        mesh = uvloop.run(through_the_mesh(environ, prompts, folder / "logs"))
    print(f"{name}: ladder {', '.join(artefact.escalation.ladder.models)}")
    bench = reckoned(artefact, prompts, answers, truth)
    if arguments.predictions:
        rows = (
            {"id": prompt.id, "mesh": asdict(one), "bench": asdict(other)}
            for prompt, one, other in zip(prompts, mesh, bench, strict=True)
        )
        arguments.predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compared(mesh, bench, truth)
    show(found)
    return 0 if max(map(abs, found["apart"].values())) <= _WITHIN else 1


if __name__ == "__main__":
    sys.exit(main())
