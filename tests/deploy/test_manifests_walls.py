"""Walls: what a pod may do, who may talk to whom, where keys are, and that production cannot simulate."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.mesh.harness import environment
from tools import manifests
from tools.manifests import K8S, ROOT, SERVICES, Object

OWN = {"app.kubernetes.io/part-of": "omnisphere"}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DIGEST = "sha256:"


def _deployments(objects: Sequence[Object]) -> dict[str, Object]:
    return manifests.of_kind(objects, "Deployment")


def test_the_namespace_refuses_pods_that_could_do_more_than_they_need(every: Sequence[Object]):
    (namespace,) = manifests.of_kind(every, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_pod_may_do_nothing_but_its_work(every: Sequence[Object]):
    for deployment in _deployments(every).values():
        spec, one = manifests.pod(deployment), manifests.container(deployment)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
    for account in manifests.of_kind(every, "ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False


def test_each_service_has_an_account_of_its_own(every: Sequence[Object]):
    accounts = manifests.of_kind(every, "ServiceAccount")
    for name, deployment in _deployments(every).items():
        assert manifests.pod(deployment)["serviceAccountName"] == name
        assert name in accounts


def test_what_is_written_goes_to_bounded_empty_folders(every: Sequence[Object]):
    for name, deployment in _deployments(every).items():
        mounts = {m["mountPath"]: m["name"] for m in manifests.container(deployment)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in manifests.pod(deployment)["volumes"]}
        writable = {"/tmp"} if name in ("simulator", "redis") else {"/tmp", "/var/lib/omnisphere"}  # noqa: S108 - paths in a pod
        assert writable == set(mounts) - {"/etc/omnisphere"}
        assert all(volumes[mounts[path]]["emptyDir"]["sizeLimit"] for path in writable)


def test_resources_are_asked_for_and_memory_is_bounded(every: Sequence[Object]):
    for deployment in _deployments(every).values():
        resources = manifests.container(deployment)["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert set(resources["limits"]) == {"memory"}
        assert _mebibytes(resources["requests"]["memory"]) < _mebibytes(resources["limits"]["memory"])


def test_memory_holds_what_was_measured_and_what_settings_allow(base: list[Object]):
    measured = {"router": 50, "cache": 51, "context": 240, "providers": 78}
    kept = {"router": 64, "cache": 256, "context": 128 + 48, "providers": 0}
    for name, deployment in _deployments(base).items():
        resources = manifests.container(deployment)["resources"]
        assert _mebibytes(resources["requests"]["memory"]) > measured[name]
        assert _mebibytes(resources["limits"]["memory"]) > measured[name] + kept[name]


def _mebibytes(text: str) -> int:
    assert text.endswith("Mi")
    return int(text.removesuffix("Mi"))


def test_images_carry_this_version_and_in_production_a_digest(every: Sequence[Object]):
    for name, deployment in _deployments(every).items():
        image: str = manifests.container(deployment)["image"]
        assert "latest" not in image
        if name == "redis":  # not built here
            assert re.fullmatch(r"docker.io/library/redis:\d+\.\d+-\w+", image)
            continue
        if "@" in image:
            repository, _, digest = image.partition("@")
            assert repository.endswith(f"/omnisphere-{name}")
            assert len(digest) == len(DIGEST) + 64
            assert digest.startswith(DIGEST)
        else:
            assert image == f"omnisphere-{name}:{VERSION}"


def test_production_runs_no_image_without_a_digest(production: Sequence[Object]):
    images = [manifests.container(deployment)["image"] for deployment in _deployments(production).values()]
    assert len(images) == len(SERVICES)
    assert all(f"@{DIGEST}" in image for image in images)


def test_a_secret_is_read_by_the_one_service_that_needs_it(every: Sequence[Object]):
    for name, deployment in _deployments(every).items():
        one = manifests.container(deployment)
        sources = one.get("envFrom", [])
        secrets = {"providers": ["provider-keys"], "router": ["router-keys"]}
        assert sources == [{"secretRef": {"name": each, "optional": True}} for each in secrets.get(name, ())]
        assert all(set(row) == {"name", "value"} for row in one["env"])
        assert all(
            "secret" not in volume and "projected" not in volume for volume in manifests.pod(deployment)["volumes"]
        )
    assert manifests.of_kind(every, "Secret") == {}


def test_the_edges_are_exactly_those_of_the_mesh(production: Sequence[Object]):
    policies = list(manifests.of_kind(production, "NetworkPolicy").values())
    everything = next(policy["spec"] for policy in policies if policy["metadata"]["name"] == "deny-all")
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    out = {edge for policy in policies for edge in _edges(policy, "egress")}
    into = {edge for policy in policies for edge in _edges(policy, "ingress")}
    inside = {
        ("router", "cache", 50052),
        ("router", "context", 50053),
        ("router", "providers", 50054),
        ("context", "providers", 50054),
    }
    outside = {("providers", "internet", 443)} | {(name, "dns", 53) for name in SERVICES}
    assert out == inside | outside
    to_redis = next(each["spec"]["egress"][-1] for each in policies if each["metadata"]["name"] == "router")
    assert to_redis["to"][0]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "redis"} | OWN}
    assert [port["port"] for port in to_redis["ports"]] == [6379]
    applications = {("applications", "router", 50051), ("applications", "router", 8088)}
    metrics = {("metrics", name, port) for name in SERVICES for port in range(9461, 9465)}
    assert into == inside | applications | metrics


def test_redis_is_reached_by_cache_and_router_alone_and_reaches_nobody():
    policies = manifests.of_kind(manifests.read(K8S / "components" / "redis" / "network-policy.yaml"), "NetworkPolicy")
    redis, cache = policies["redis"]["spec"], policies["cache-to-redis"]["spec"]
    assert redis["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in redis
    assert redis["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "redis"} | OWN}
    assert list(_edges({"spec": redis | {"podSelector": cache["podSelector"]}}, "ingress")) == [
        ("cache", "cache", 6379),
        ("router", "cache", 6379),
    ]
    to_redis, to_names = cache["egress"]
    assert to_redis["to"] == [{"podSelector": redis["podSelector"]}]
    assert [port["port"] for port in to_redis["ports"]] == [6379]
    assert set(_edges({"spec": cache | {"egress": [to_names]}}, "egress")) == {("cache", "dns", 53)}


def _edges(policy: Object, direction: str) -> Iterator[tuple[str, str, int]]:
    """(from, to, port) for everything that a policy allows in one direction."""
    spec = policy["spec"]
    chosen = _pods(spec["podSelector"])
    for rule in spec.get(direction, ()):
        ports = [n for row in rule["ports"] for n in range(row["port"], row.get("endPort", row["port"]) + 1)]
        for peer in rule["to" if direction == "egress" else "from"]:
            for other in _peers(peer):
                for one in chosen:
                    for port in ports:
                        yield (one, other, port) if direction == "egress" else (other, one, port)


def _pods(selector: Mapping[str, Any]) -> list[str]:
    """The services whose pods a selector finds."""
    wanted = selector.get("matchLabels", {})
    return [name for name in SERVICES if wanted.items() <= ({"app.kubernetes.io/name": name} | OWN).items()]


def _peers(peer: Mapping[str, Any]) -> list[str]:
    if "ipBlock" in peer:
        return ["internet"]
    if "namespaceSelector" not in peer:
        return _pods(peer["podSelector"])
    labels = peer["namespaceSelector"]["matchLabels"]
    if labels == {"kubernetes.io/metadata.name": "kube-system"}:
        assert peer["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
        return ["dns"]
    assert set(labels) == {"omnisphere-access"}
    return [labels["omnisphere-access"]]


def test_providers_reach_no_private_address(production: Sequence[Object]):
    policy = manifests.of_kind(production, "NetworkPolicy")["providers"]
    (rule,) = policy["spec"]["egress"]
    blocks = {peer["ipBlock"]["cidr"]: set(peer["ipBlock"]["except"]) for peer in rule["to"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"} <= blocks["0.0.0.0/0"]
    assert {"fc00::/7", "fe80::/10"} <= blocks["::/0"]


def test_nothing_of_production_simulates(production: Sequence[Object]):
    assert set(_deployments(production)) == set(SERVICES)
    assert "simulator" not in manifests.of_kind(production, "Service")
    variables = manifests.env(_deployments(production)["providers"])
    assert variables["OMNISPHERE_SIMULATOR"] == "off"
    assert "OMNISPHERE_SIMULATOR_URL" not in variables
    assert "omnisphere-simulator" not in json.dumps(list(production))


@pytest.mark.slow
async def test_providers_of_production_are_alive_and_not_ready_without_a_key(
    production: Sequence[Object], tmp_path: Path
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {
        "OMNISPHERE_STATE": str(tmp_path),
        "OMNISPHERE_PROVIDERS_HOST": "127.0.0.1",
        "OMNISPHERE_PROVIDERS_PORT": str(port),
        "OMNISPHERE_PROVIDERS_METRICS_PORT": "-1",
        "OMNISPHERE_PROVIDERS_CONFIG": str(K8S / "base" / "config" / "providers.toml"),
    }
    variables = environment(tmp_path) | manifests.env(_deployments(production)["providers"]) | here
    said = {}
    for keys in ({}, {"OPENAI_API_KEY": "sk-of-a-test"}):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.providers", env=variables | keys, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            said[bool(keys)] = await _health(port, until="readiness" if keys else "")
        finally:
            process.terminate()
            await process.wait()
    assert said == {
        False: {"liveness": "SERVING", "readiness": "NOT_SERVING", "": "NOT_SERVING"},
        True: {"liveness": "SERVING", "readiness": "SERVING", "": "SERVING"},
    }


async def _health(port: int, *, until: str) -> dict[str, str]:
    """What each name says, once `until` says SERVING, or at once."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        if until:
            request = health_pb2.HealthCheckRequest(service=until)
            async for response in stub.Watch(request, timeout=10, wait_for_ready=True):
                if response.status == health_pb2.HealthCheckResponse.SERVING:
                    break
        said = {}
        for name in ("liveness", "readiness", ""):
            request = health_pb2.HealthCheckRequest(service=name)
            status = (await stub.Check(request, timeout=10, wait_for_ready=True)).status
            said[name] = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    return said
