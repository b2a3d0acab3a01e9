"""Run the images as the manifests say: same variables, same user, read-only, no capability; ask them, stop them.

All containers share one network namespace with no way out, in which the names of the Services mean 127.0.0.1. That is
not a cluster: names with several addresses, probes by a kubelet and network policies are not tried here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools import manifests
from tools.manifests import K8S, SERVICES, Object

MOST_SECONDS = 5.0
_UID = 10001
_ORDER = ("simulator", "cache", "context", "providers", "router")
# Run inside the containers' network: waits until every name says SERVING, or prints what they say after the time.
_ASK = """
import json, sys, time
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
port, seconds = sys.argv[1], float(sys.argv[2])
end = time.monotonic() + seconds
said = {}
while time.monotonic() < end:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "readiness", "liveness"):
            try:
                status = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=1).status
                said[name] = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
            except grpc.RpcError as failure:
                said[name] = failure.code().name
    if set(said.values()) == {"SERVING"}:
        break
    time.sleep(0.05)
print(json.dumps(said))
"""
# The same for HTTP: ends with an error where nothing answers in time.
_FETCH = """
import sys, time, urllib.request
url, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
while True:
    try:
        urllib.request.urlopen(url, timeout=1).read()
        break
    except OSError:
        if time.monotonic() > end:
            raise
    time.sleep(0.05)
"""


class Wrong(Exception):
    """A container does not do what the manifests count on."""


class Containers:
    """Containers in one network namespace. `addresses`: what a Service's name means, where it is not 127.0.0.1."""

    def __init__(self, folder: Path, addresses: Mapping[str, Sequence[str]]) -> None:
        self._folder = folder
        self._addresses = addresses
        self._first = ""
        self.running: dict[str, str] = {}

    def start(self, deployment: Object, more: Mapping[str, str] | None = None, *, name: str = "") -> None:
        """Start what the Deployment describes, with `more` variables in the place of its own."""
        service = deployment["metadata"]["name"]
        name = name or service
        one = manifests.container(deployment)
        arguments = ["--detach", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
        arguments += [f"--memory={one['resources']['limits']['memory'].removesuffix('i').lower()}"]
        arguments += [f"--user={_UID}:{_UID}", *self._network(), *self._volumes(name, deployment)]
        arguments += [f"--env={key}={value}" for key, value in (manifests.env(deployment) | dict(more or {})).items()]
        image = f"localhost/omnisphere-{service}:{tag()}"
        assert one["securityContext"]["readOnlyRootFilesystem"]  # noqa: S101 - what the arguments above copy
        self.running[name] = _podman("run", *arguments, image).strip()
        self._first = self._first or self.running[name]

    def _network(self) -> list[str]:
        hosts = self._folder / "hosts"
        lines = ["127.0.0.1 localhost"]
        for name in _ORDER:
            lines += [f"{address} {name}.omnisphere.svc" for address in self._addresses.get(name, ("127.0.0.1",))]
        hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")
        network = f"container:{self._first}" if self._first else "none"
        return [f"--network={network}", f"--volume={hosts}:/etc/hosts:ro"]

    def _volumes(self, name: str, deployment: Object) -> Iterator[str]:
        kinds = {volume["name"]: volume for volume in manifests.pod(deployment)["volumes"]}
        for mount in manifests.container(deployment)["volumeMounts"]:
            folder = self._folder / name / mount["name"]
            folder.mkdir(parents=True, exist_ok=True)
            if "configMap" in kinds[mount["name"]]:
                for path in (K8S / "base" / "config").iterdir():
                    shutil.copyfile(path, folder / path.name)
                yield f"--volume={folder}:{mount['mountPath']}:ro"
            else:  # as an emptyDir under fsGroup: the group may write
                shutil.chown(folder, 0, _UID)
                folder.chmod(0o2775)
                yield f"--volume={folder}:{mount['mountPath']}"

    def inside(self, *command: str) -> str:
        """Run a command of this machine in the containers' network."""
        pid = _podman("inspect", "--format={{.State.Pid}}", self._first).strip()
        return _said(["nsenter", f"--net=/proc/{pid}/ns/net", *command])

    def health(self, port: int, seconds: float) -> dict[str, str]:
        """What each health name says, once all are SERVING or the time is over."""
        said: dict[str, str] = json.loads(self.inside(sys.executable, "-c", _ASK, str(port), str(seconds)))
        return said

    def stop(self, name: str) -> tuple[int, float]:
        """SIGTERM. Returns the exit code and how long it took."""
        one = self.running[name]
        started = time.monotonic()
        _podman("kill", "--signal=TERM", one)
        code = int(_podman("wait", one))
        return code, time.monotonic() - started

    def remove(self) -> None:
        """Take everything away, the one that holds the network last."""
        for one in reversed(self.running.values()):
            subprocess.run(["podman", "rm", "--force", "--time=0", one], check=False, capture_output=True)  # noqa: S607


@contextmanager
def running(addresses: Mapping[str, Sequence[str]] | None = None) -> Iterator[Containers]:
    """Containers to be started, which are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="omnisphere-containers-") as folder:
        Path(folder).chmod(0o755)
        containers = Containers(Path(folder), addresses or {})
        try:
            yield containers
        finally:
            containers.remove()


def tag() -> str:
    """The version that the manifests name."""
    (deployment,) = manifests.of_kind(manifests.read(K8S / "base" / "router.yaml"), "Deployment").values()
    version: str = manifests.container(deployment)["image"].partition(":")[2]
    return version


def check(console: Console) -> None:
    """Run the local overlay in containers and print what was seen; exit with one line when something is wrong."""
    try:
        with running() as containers:
            table = _check_mesh(containers)
        with running() as containers:
            _check_no_key(containers)
    except Wrong as failure:
        sys.exit(str(failure))
    console.print(table)
    print("providers of production without a key: alive, not ready, and SIGTERM ends them with code 0")


def _check_mesh(containers: Containers) -> Table:
    deployments = manifests.of_kind(manifests.build(K8S / "overlays" / "local"), "Deployment")
    rows: dict[str, list[str]] = {}
    for name in _ORDER:
        started = time.monotonic()
        containers.start(deployments[name])
        ports = {port["name"]: port["containerPort"] for port in manifests.container(deployments[name])["ports"]}
        if name in SERVICES:
            said = containers.health(ports["grpc"], MOST_SECONDS)
            if set(said.values()) != {"SERVING"}:
                raise Wrong(f"{name} is not healthy within {MOST_SECONDS:g} s: {said}\n{_logs(containers, name)}")
        else:
            containers.inside(
                sys.executable, "-c", _FETCH, f"http://127.0.0.1:{ports['http']}/healthz", str(MOST_SECONDS)
            )
        rows[name] = [f"{time.monotonic() - started:.1f}"]
        _refuse_tools(containers.running[name], name)
    answer = _answer(containers)
    table = Table("container", "healthy after, s", "exit code after SIGTERM", "ended after, s", box=None)
    for name in reversed(_ORDER):
        code, seconds = containers.stop(name)
        if code != 0:
            raise Wrong(f"{name} ends with code {code}\n{_logs(containers, name)}")
        table.add_row(name, *rows[name], str(code), f"{seconds:.1f}")
    print(f"asked through the router's container, answered by the simulator's: {answer}")
    return table


def _answer(containers: Containers) -> str:
    """The line that the command prints about a call, run from its own image."""
    chat = ["chat", "--router", "127.0.0.1:50051", "Translate 'cheese' into French."]
    network = f"--network=container:{containers.running['simulator']}"
    hardened = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    said = _podman("run", "--rm", network, *hardened, f"localhost/omnisphere-cli:{tag()}", *chat)
    last = said.strip().splitlines()[-1]
    if "(simulated)" not in last:
        raise Wrong(f"no simulated answer came through: {said}")
    return last


def _refuse_tools(container: str, name: str) -> None:
    """No pip, no compiler; who runs is who should, with no capability."""
    script = "command -v pip pip3 gcc cc ld; id -u; grep CapBnd /proc/self/status; touch /x 2>/dev/null && echo written"
    said = _said(["podman", "exec", container, "sh", "-c", f"{script}; true"]).split()
    if said != [str(_UID), "CapBnd:", "0" * 16]:
        raise Wrong(f"{name} has more than it needs: {said}")


def _check_no_key(containers: Containers) -> None:
    deployments = manifests.of_kind(manifests.build(K8S / "overlays" / "production"), "Deployment")
    containers.start(deployments["providers"])
    said = containers.health(50054, 3.0)
    if said != {"": "NOT_SERVING", "readiness": "NOT_SERVING", "liveness": "SERVING"}:
        raise Wrong(f"providers of production without a key say {said}")
    code, seconds = containers.stop("providers")
    if code != 0 or seconds > MOST_SECONDS:
        raise Wrong(f"providers that are not ready end with code {code} after {seconds:.1f} s")


def _logs(containers: Containers, name: str) -> str:
    return _podman("logs", "--tail=5", containers.running[name])


def _podman(*arguments: str) -> str:
    return _said(["podman", *arguments])


def _said(command: Sequence[str]) -> str:
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise Wrong(f"{' '.join(command[:3])}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
