"""python -m tools.cache_replicas: what one and what three replicas of the cache make of the same questions.

In containers, after `make images`: the name of the cache's Service means one address, or three, as a headless one does.
Every replica keeps its own entries, and the router spreads calls over all of them. As root, with podman and kubectl.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from tools import manifests
from tools.containers import MOST_SECONDS, Containers, Wrong, running
from tools.manifests import K8S

_QUESTIONS, _CALLS, _CALLERS, _REPEATS = 20, 400, 4, 14
# Run inside the containers' network: first one caller who repeats a question, then several with many.
_ASK = """
import concurrent.futures, json, random, sys, time, urllib.request
import grpc
from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.router.v1 import router_service_pb2 as router, router_service_pb2_grpc as rpc
questions, calls, callers, repeats = map(int, sys.argv[1:5])
stub = rpc.RouterServiceStub(grpc.insecure_channel("127.0.0.1:50051"))
def hit(text):
    message = chat.Message(role=chat.ROLE_USER, parts=[chat.Part(text=text)])
    request = router.CompleteRequest(conversation=chat.Conversation(messages=[message]))
    return stub.Complete(request, timeout=20, wait_for_ready=True).cost.nanousd == 0
repeated = []
for _ in range(repeats):
    repeated.append(hit("Translate 'bread' into French."))
    time.sleep(0.05)  # the answer is stored after it is given
dice = random.Random(7)
asked = [f"Translate 'cheese number {dice.randrange(questions)}' into French." for _ in range(calls)]
with concurrent.futures.ThreadPoolExecutor(callers) as pool:
    mixed = list(pool.map(hit, asked))
looked_up = []
for address in sys.argv[5:]:
    with urllib.request.urlopen(f"http://{address}:9462/metrics") as page:
        lines = page.read().decode().splitlines()
    looked_up.append(sum(float(l.split()[-1]) for l in lines if l.startswith("omnisphere_cache_lookups_total{")))
print(json.dumps({"repeated": repeated, "mixed": mixed, "looked_up": looked_up}))
"""


def main() -> None:
    """Print a table; exit 1 when a replica is left out."""
    quarter = _CALLS // 4
    spans = [f"{at + 1} to {at + quarter}" for at in range(0, _CALLS, quarter)]
    table = Table("replicas", "hits repeated", *(f"of calls {span}" for span in spans), "look-ups by replica", box=None)
    try:
        for replicas in (1, 3):
            said = _asked(replicas)
            mixed = said["mixed"]
            quarters = [str(sum(mixed[at : at + quarter])) for at in range(0, _CALLS, quarter)]
            spread = ", ".join(f"{number:.0f}" for number in said["looked_up"])
            table.add_row(str(replicas), str(sum(said["repeated"])), *quarters, spread)
            if min(said["looked_up"]) < _CALLS / replicas / 2:
                raise Wrong(f"calls are not spread over the replicas: {spread}")
    except Wrong as failure:
        sys.exit(str(failure))
    Console(width=120).print(table)
    print(f"repeated: one caller asks one question {_REPEATS} times; calls: {_CALLERS} callers, {_QUESTIONS} questions")


def _asked(replicas: int) -> Mapping[str, Any]:
    deployments = manifests.of_kind(manifests.build(K8S / "overlays" / "local"), "Deployment")
    addresses = [f"127.0.0.{number}" for number in range(1, replicas + 1)]
    with running({"cache": addresses}) as containers:
        containers.start(deployments["simulator"], {"OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0"})
        for address in addresses:
            containers.start(deployments["cache"], {"OMNISPHERE_CACHE_HOST": address}, name=f"cache-at-{address}")
        for name in ("context", "providers", "router"):
            containers.start(deployments[name])
        _wait(containers)
        numbers = [str(number) for number in (_QUESTIONS, _CALLS, _CALLERS, _REPEATS)]
        said: Mapping[str, Any] = json.loads(containers.inside(sys.executable, "-c", _ASK, *numbers, *addresses))
        return said


def _wait(containers: Containers) -> None:
    for port in (50052, 50053, 50054, 50051):
        said = containers.health(port, MOST_SECONDS)
        if set(said.values()) != {"SERVING"}:
            raise Wrong(f"port {port} is not healthy within {MOST_SECONDS:g} s: {said}")


if __name__ == "__main__":
    main()
