"""The manifests and the settings agree: variables, ports, probes, addresses, times and configuration files."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.cache import settings as cache
from services.chassis.server import LIVENESS, READINESS, _options
from services.chassis.settings import variable
from services.context import settings as context
from services.providers import operator_file
from services.providers import settings as providers
from services.providers.endpoints import shipped
from services.router import settings as router
from services.router.policy import load_policies
from services.simulator import settings as simulator
from tools import manifests
from tools.docs import DOCS
from tools.manifests import K8S, SERVICES, Object

LOAD: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
    "router": router.load,
    "cache": cache.load,
    "context": context.load,
    "providers": providers.load,
    "simulator": simulator.load,
}
HTTP_PORT = 8088
# What DNS answers may be old, and the least time between two look-ups of a gRPC channel (services/chassis/client.py).
DNS_SECONDS, LOOK_UP_SECONDS = 5, 5


def _deployments(objects: Sequence[Object]) -> dict[str, Object]:
    """Those of our own services; Redis has settings of its own."""
    return {name: one for name, one in manifests.of_kind(objects, "Deployment").items() if name in LOAD}


def _settings(name: str, deployment: Object) -> Any:
    """The settings as the service reads them in its pod. Raises StartError."""
    return LOAD[name](manifests.env(deployment))


def _own_variables(name: str) -> set[str]:
    prefix = f"OMNISPHERE_{name.upper()}"
    return {variable(field, prefix) for field in dataclasses.fields(LOAD[name]({}))}


def test_every_variable_is_a_setting_and_documented(every: Sequence[Object]):
    known = {name: _own_variables(name) | {"OMNISPHERE_STATE"} for name in LOAD}
    documented = set(re.findall(r"^\| `(\w+)`", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    for name, deployment in _deployments(every).items():
        variables = set(manifests.env(deployment))
        assert variables <= known[name]
        assert variables <= documented


def test_a_service_accepts_the_variables_it_is_given(every: Sequence[Object]):
    for name, deployment in _deployments(every).items():
        settings = _settings(name, deployment)
        assert settings.host == "0.0.0.0"  # noqa: S104 - what is compared is the manifest
        if name != "simulator":
            assert manifests.env(deployment)["OMNISPHERE_STATE"] == "/var/lib/omnisphere"


def test_ports_are_the_defaults_of_the_settings(every: Sequence[Object]):
    for name, deployment in _deployments(every).items():
        ports = {port["name"]: port["containerPort"] for port in manifests.container(deployment)["ports"]}
        settings = _settings(name, deployment)
        if name == "simulator":
            assert ports == {"http": settings.port}
            continue
        expected = {"grpc": settings.port, "metrics": settings.metrics_port}
        if name == "router":
            expected["http"] = getattr(settings, "http_port", HTTP_PORT)
        assert ports == expected
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations["prometheus.io/scrape"] == "true"
        assert annotations["prometheus.io/path"] == "/metrics"
        assert annotations["prometheus.io/port"] == str(settings.metrics_port)


def test_services_lead_to_the_ports_of_their_pods(every: Sequence[Object]):
    deployments = manifests.of_kind(every, "Deployment")
    for name, service in manifests.of_kind(every, "Service").items():
        owner = deployments["router" if name == "omnisphere" else name]
        pods = {port["name"]: port["containerPort"] for port in manifests.container(owner)["ports"]}
        for port in service["spec"]["ports"]:
            assert port["port"] == pods[port["targetPort"]]
            assert port["name"] == port["targetPort"] == port["appProtocol"]


def test_every_service_has_a_headless_name_and_applications_one_address(every: Sequence[Object]):
    services = manifests.of_kind(every, "Service")
    for name in SERVICES:
        assert services[name]["spec"]["clusterIP"] == "None"
        assert [port["name"] for port in services[name]["spec"]["ports"]] == ["grpc"]
    front = services["omnisphere"]["spec"]
    assert front["type"] == "ClusterIP"
    assert "clusterIP" not in front
    assert {port["name"]: port["port"] for port in front["ports"]} == {"grpc": 50051, "http": HTTP_PORT}


def test_addresses_of_peers_are_headless_names_with_their_grpc_port(every: Sequence[Object]):
    services = manifests.of_kind(every, "Service")
    settings = _settings("router", _deployments(every)["router"])
    for peer in ("cache", "context", "providers"):
        host, _, port = getattr(settings, peer).partition(":")
        assert host == f"{peer}.{services[peer]['metadata']['namespace']}.svc"
        assert services[peer]["spec"]["clusterIP"] == "None"
        assert int(port) == services[peer]["spec"]["ports"][0]["port"]


def test_three_probes_ask_grpc_health_for_three_names(every: Sequence[Object]):
    for name in SERVICES:
        deployment = _deployments(every)[name]
        one = manifests.container(deployment)
        port = _settings(name, deployment).port
        assert one["startupProbe"]["grpc"] == {"port": port, "service": ""}
        assert one["readinessProbe"]["grpc"] == {"port": port, "service": READINESS}
        assert one["livenessProbe"]["grpc"] == {"port": port, "service": LIVENESS}


def test_a_pod_has_time_to_drain(every: Sequence[Object]):
    for name in SERVICES:
        deployment = _deployments(every)[name]
        settings = _settings(name, deployment)
        needed = settings.drain + settings.grace + timedelta(seconds=5)
        assert manifests.pod(deployment)["terminationGracePeriodSeconds"] > needed.total_seconds()
        assert settings.drain >= timedelta(seconds=5)


def test_streams_through_providers_get_as_long_as_those_through_the_router(every: Sequence[Object]):
    deployments = manifests.of_kind(every, "Deployment")
    router_grace = _settings("router", deployments["router"]).grace
    assert router_grace == timedelta(seconds=45)
    assert _settings("providers", deployments["providers"]).grace >= router_grace


def test_in_production_the_router_waits_for_callers_that_watch_no_health(production: Sequence[Object]):
    settings = _settings("router", _deployments(production)["router"])
    age = dict(_options(settings))["grpc.max_connection_age_ms"] / 1000
    assert settings.drain.total_seconds() > 1.1 * age + DNS_SECONDS + LOOK_UP_SECONDS


def test_reflection_and_a_claimed_tenant_are_for_the_laptop(
    base: list[Object], local: Sequence[Object], production: Sequence[Object]
):
    for objects, wanted in ((base, False), (local, True), (production, False)):
        deployments = _deployments(objects)
        assert {_settings(name, deployments[name]).reflection for name in SERVICES} == {wanted}
        assert _settings("router", deployments["router"]).believes_tenant() is wanted
        # Inside the mesh the router's word is believed; the network policies keep everybody else away.
        assert all(_settings(name, deployments[name]).believes_tenant() for name in ("cache", "context", "providers"))


def test_the_simulator_is_for_the_laptop(local: Sequence[Object]):
    settings = _settings("providers", _deployments(local)["providers"])
    assert (settings.simulator, settings.discover) == ("on", False)
    simulated = _deployments(local)["simulator"]
    port = _settings("simulator", simulated).port
    assert settings.simulator_url == f"http://simulator.{simulated['metadata']['namespace']}.svc:{port}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert manifests.container(simulated)[probe]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_configuration_files_are_mounted_where_the_variables_say(local: Sequence[Object], production: Sequence[Object]):
    wanted = {"router": ("routes", "routes.toml"), "providers": ("config", "providers.toml")}
    for objects in (local, production):
        for name, (field, file) in wanted.items():
            deployment = _deployments(objects)[name]
            path: Path = getattr(_settings(name, deployment), field)
            mounts = {mount["mountPath"]: mount["name"] for mount in manifests.container(deployment)["volumeMounts"]}
            volumes = {volume["name"]: volume for volume in manifests.pod(deployment)["volumes"]}
            source = volumes[mounts[str(path.parent)]]["configMap"]["name"]
            said = manifests.of_kind(objects, "ConfigMap")[source]["data"]
            assert path.name == file
            assert said[file] == (K8S / "base" / "config" / file).read_text()


def test_the_example_policy_is_one_that_the_router_accepts():
    policies = load_policies(K8S / "base" / "config" / "routes.toml")
    assert set(policies) - set(load_policies(None)) == {"frugal"}
    known = {name for row in shipped().models for name in (row.id, *row.aliases)}
    row = policies["frugal"].row
    assert {row.reference_model, *(route.primary for route in row.tasks.values())} <= known
    assert {route.fallback for route in row.tasks.values()} <= known


def test_the_example_endpoint_sleeps_and_is_one_that_providers_accept(tmp_path: Path):
    path = K8S / "base" / "config" / "providers.toml"
    asleep = operator_file.read(path, shipped())
    assert (asleep.endpoint, asleep.model) == ((), ()), "an endpoint here would make production ready without a key"
    awake = tmp_path / "providers.toml"
    awake.write_text(re.sub(r"^#(?=[\[a-z])", "", path.read_text(), flags=re.MULTILINE))
    file = operator_file.read(awake, shipped())
    assert [row.name for row in file.endpoint] == ["vllm"]
    assert [row.id for row in file.model] == list(file.endpoint[0].serves)
