"""The manifests are what Kubernetes understands: each file alone, and what kustomize makes of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import manifests
from tools.manifests import K8S, SERVICES, VERSIONS, Object

FILES = manifests.whole_files()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(K8S)))
def test_a_file_alone_is_valid(path: Path, version: str):
    assert manifests.problems(manifests.read(path), version) == []


@pytest.mark.usefixtures("kubectl")
@pytest.mark.parametrize("folder", manifests.kustomizations(), ids=lambda path: str(path.relative_to(K8S)))
def test_what_kustomize_builds_is_valid(folder: Path):
    objects = manifests.build(folder)
    assert set(SERVICES) <= set(manifests.of_kind(objects, "Deployment"))
    assert [manifests.problems(objects, version) for version in VERSIONS] == [[], []]


@pytest.mark.usefixtures("kubectl")
@pytest.mark.parametrize("component", manifests.components(), ids=lambda path: path.name)
def test_a_component_fits_the_base(component: Path):
    objects = manifests.build_with(component)
    assert len(objects) > len(manifests.build(K8S / "base"))
    assert [manifests.problems(objects, version) for version in VERSIONS] == [[], []]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec.template.spec.containers.0.readinesProbe", {"grpc": {"port": 50051}}),
        ("Deployment", "spec.template.spec.securityContext.runAsNonRoot", "yes"),
        ("Deployment", "spec.strategy.rollingUpdate.maxSurge", [1]),
        ("Service", "spec.ports.0.appProtokol", "grpc"),
        ("PodDisruptionBudget", "spec.maxUnavailabel", 1),
    ],
)
def test_validation_bites(base: list[Object], version: str, kind: str, path: str, value: object):
    spoiled: Any = copy.deepcopy(manifests.of_kind(base, kind)["router"])
    assert manifests.problems([spoiled], version) == []
    at = spoiled
    *way, last = path.split(".")
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    at[last] = value
    (problem,) = manifests.problems([spoiled], version)
    assert problem.startswith(f"{kind} router: ")


def test_every_file_is_part_of_a_kustomization():
    named = set(FILES)
    for folder in (*manifests.kustomizations(), *manifests.components()):
        (kustomization,) = manifests.read(folder / "kustomization.yaml")
        named |= {folder / patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch}
        named.add(folder / "kustomization.yaml")
    assert set(K8S.rglob("*.yaml")) == named


@pytest.mark.parametrize("name", SERVICES)
def test_the_file_of_a_service_applies_alone(name: str):
    objects = manifests.read(K8S / "base" / f"{name}.yaml")
    kinds = {"ServiceAccount", "Deployment", "Service", "PodDisruptionBudget"}
    assert {thing["kind"] for thing in objects} == kinds
    assert {thing["metadata"]["namespace"] for thing in objects} == {"omnisphere"}
    deployment = manifests.of_kind(objects, "Deployment")[name]
    spec = manifests.pod(deployment)
    assert spec["serviceAccountName"] in manifests.of_kind(objects, "ServiceAccount")
    # What is not in this file may be missing: no ConfigMap, no Secret that must be there.
    assert all(set(volume) == {"name", "emptyDir"} for volume in spec["volumes"])
    sources = manifests.container(deployment).get("envFrom", ())
    assert all(source["secretRef"]["optional"] for source in sources)


def test_selectors_find_the_pods_they_are_meant_for(every: Sequence[Object]):
    labels = {
        name: deployment["spec"]["template"]["metadata"]["labels"]
        for name, deployment in manifests.of_kind(every, "Deployment").items()
    }
    for name, deployment in manifests.of_kind(every, "Deployment").items():
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
        for constraint in manifests.pod(deployment).get("topologySpreadConstraints", ()):
            assert constraint["labelSelector"]["matchLabels"].items() <= labels[name].items()
    for name, service in manifests.of_kind(every, "Service").items():
        assert _chosen(labels, service["spec"]["selector"]) == ["router" if name == "omnisphere" else name]
    for name, budget in manifests.of_kind(every, "PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert _chosen(labels, budget["spec"]["selector"]["matchLabels"]) == [name]
    assert set(SERVICES) == set(manifests.of_kind(every, "PodDisruptionBudget"))


def _chosen(labels: dict[str, dict[str, str]], selector: dict[str, str]) -> list[str]:
    return [name for name, had in labels.items() if selector.items() <= had.items()]


def test_a_rolling_update_takes_no_pod_away_before_another_is_there(every: Sequence[Object]):
    deployments = manifests.of_kind(every, "Deployment")
    for name in SERVICES:
        strategy = deployments[name]["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        assert manifests.pod(deployments[name])["topologySpreadConstraints"]


def test_the_number_of_replicas_is_left_to_whoever_scales(every: Sequence[Object]):
    for name in SERVICES:
        assert "replicas" not in manifests.of_kind(every, "Deployment")[name]["spec"]


def test_only_production_scales_by_itself(local: Sequence[Object], production: Sequence[Object]):
    assert manifests.of_kind(local, "HorizontalPodAutoscaler") == {}
    bounds = {
        name: (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"])
        for name, scaler in manifests.of_kind(production, "HorizontalPodAutoscaler").items()
    }
    assert set(bounds) == set(SERVICES)
    assert bounds.pop("cache") == (1, 1), "until its replicas share entries"
    assert all(least >= 2 and most > least for least, most in bounds.values())


def test_a_changed_configuration_file_restarts_the_pods_that_read_it(local: Sequence[Object]):
    maps = manifests.of_kind(local, "ConfigMap")
    for name in ("router", "providers"):
        deployment = manifests.of_kind(local, "Deployment")[name]
        (volume,) = (volume for volume in manifests.pod(deployment)["volumes"] if "configMap" in volume)
        assert volume["configMap"]["name"] in maps
        assert volume["configMap"]["name"].startswith(f"{name}-config-")


def test_the_yaml_says_on_and_off_as_text(base: list[Object]):
    # Bare on and off are booleans in YAML, and Kubernetes refuses them as values of variables.
    assert yaml.safe_load("on") is True
    for deployment in manifests.of_kind(base, "Deployment").values():
        assert all(isinstance(value, str) for value in manifests.env(deployment).values())
