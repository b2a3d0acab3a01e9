"""The commands of the manifests' README name what exists."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from services.providers.endpoints import shipped
from tests.deploy.test_manifests_settings import LOAD
from tools import manifests
from tools.manifests import K8S, ROOT, Object

TEXT = (K8S / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ *kubectl .*?(?=\s{2,}#|$)", TEXT, re.MULTILINE) + re.findall(r"`(kubectl [^`]+)`", TEXT)


def test_there_are_six_commands_to_begin_with():
    block = TEXT.split("```sh\n")[1].split("```")[0]
    verbs = [re.search(r"kubectl (?:-n omnisphere )?([\w-]+)", line) for line in block.strip().splitlines()]
    assert [verb and verb.group(1) for verb in verbs] == ["apply", "get", "logs", "port-forward", "scale", "rollout"]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"apply -k ([\w/-]+)", TEXT))))
def test_what_is_applied_is_a_kustomization(path: str):
    assert (ROOT / path / "kustomization.yaml").is_file()


@pytest.mark.parametrize("name", re.findall(r"^\| `(\S+)/` \|", TEXT, re.MULTILINE))
def test_a_folder_that_is_described_is_there(name: str):
    assert (K8S / name).is_dir()


def test_commands_name_objects_that_exist(local: Sequence[Object]):
    named = {match for command in COMMANDS for match in re.findall(r"\b(deployment|service)/([\w-]+)", command)}
    assert {("deployment", "cache"), ("deployment", "router"), ("service", "omnisphere")} == named
    for kind, name in named:
        assert name in manifests.of_kind(local, kind.capitalize())
    namespaces = {match for command in COMMANDS for match in re.findall(r"-n (\S+)", command)}
    assert namespaces == set(manifests.of_kind(local, "Namespace"))


def test_forwarded_ports_are_those_of_the_service(local: Sequence[Object]):
    (line,) = re.findall(r"port-forward service/omnisphere ([\d ]+?) +#", TEXT)
    ports = manifests.of_kind(local, "Service")["omnisphere"]["spec"]["ports"]
    assert [int(port) for port in line.split()] == [port["port"] for port in ports]


def test_labels_the_secret_and_its_variable_are_the_ones_in_use(production: Sequence[Object]):
    policies = list(manifests.of_kind(production, "NetworkPolicy").values())
    for access in re.findall(r"omnisphere-access=(\w+)", TEXT):
        assert f"'omnisphere-access': '{access}'" in str(policies)
    for service in ("providers", "router"):
        (source,) = manifests.container(manifests.of_kind(production, "Deployment")[service])["envFrom"]
        assert f"create secret generic {source['secretRef']['name']} " in TEXT
    variable, *own = re.findall(r"--from-literal=(\w+)=", TEXT)
    assert own
    assert all(f"`{each}`" in (ROOT / "docs" / "configuration.md").read_text() for each in own)
    assert variable in {row.key_variable for row in shipped().vendors}


def test_what_it_says_about_times_and_images_is_so(base: list[Object]):
    assert "24 hours" in TEXT
    assert LOAD["cache"]({}).default_ttl.total_seconds() == 24 * 3600
    image = manifests.container(manifests.of_kind(base, "Deployment")["router"])["image"]
    assert f"`{image}`" in TEXT


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_links_lead_somewhere(link: str):
    assert (K8S / link).is_file()
