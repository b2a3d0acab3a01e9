"""python -m tools.manifests: build every kustomization and validate what comes out; a table says what was looked at.

Validation is offline, against the schemas that kubernetes-validate brings, for the oldest and the newest version of
Kubernetes that it knows, and strict: a misspelt field is an error.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from kubernetes_validate.utils import all_versions
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
K8S = ROOT / "deploy" / "k8s"
SERVICES = ("router", "cache", "context", "providers")
VERSIONS: tuple[str, str] = (all_versions()[0], all_versions()[-1])
WITHOUT_KUBECTL = "kubectl is not here: kustomizations are not built, only the files themselves are validated"

Object = Mapping[str, Any]


def has_kubectl() -> bool:
    """Whether kustomizations can be built here."""
    return shutil.which("kubectl") is not None


def read(path: Path) -> list[Object]:
    """The objects of one file."""
    return parsed(path.read_text(encoding="utf-8"))


def parsed(text: str) -> list[Object]:
    """The objects of a text with one or more documents."""
    return [document for document in yaml.safe_load_all(text) if document]


def kustomizations() -> list[Path]:
    """The folders that can be built by themselves: the base and the overlays."""
    return [K8S / "base", *sorted(path.parent for path in K8S.glob("overlays/*/kustomization.yaml"))]


def components() -> list[Path]:
    """The folders that are added to others."""
    return sorted(path.parent for path in K8S.glob("components/*/kustomization.yaml"))


def whole_files() -> list[Path]:
    """The files that hold whole objects: what a kustomization lists as its resources."""
    return [
        folder / name
        for folder in (*kustomizations(), *components())
        for name in read(folder / "kustomization.yaml")[0].get("resources", ())
        if (folder / name).is_file()
    ]


def build(folder: Path) -> list[Object]:
    """What `kubectl apply -k` would send. Raises RuntimeError with kubectl's words."""
    command = ["kubectl", "kustomize", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{folder}: {result.stderr.strip()}")
    return parsed(result.stdout)


def build_with(component: Path) -> list[Object]:
    """The base with one component added."""
    with tempfile.TemporaryDirectory(prefix="omnisphere-manifests-") as folder:
        copy = Path(folder) / "k8s"
        shutil.copytree(K8S, copy)
        overlay = copy / "overlays" / "with-a-component"
        overlay.mkdir()
        added = {"resources": ["../../base"], "components": [f"../../{component.relative_to(K8S)}"]}
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(added), encoding="utf-8")
        return build(overlay)


def problems(objects: Iterable[Object], version: str) -> list[str]:
    """What a cluster of this version would refuse, or silently drop."""
    found = []
    for thing in objects:
        name = f"{thing['kind']} {thing['metadata']['name']}"
        try:
            kubernetes_validate.validate(dict(thing), version, strict=True)
        except kubernetes_validate.ValidationError as failure:
            where = ".".join(str(part) for part in failure.path)
            found.append(f"{name}: {where}: {failure.message}")
        except kubernetes_validate.SchemaNotFoundError as failure:
            found.append(f"{name}: {failure.message}")
    return found


def of_kind(objects: Iterable[Object], kind: str) -> dict[str, Object]:
    """The objects of one kind by name."""
    return {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == kind}


def pod(deployment: Object) -> Mapping[str, Any]:
    """The pod's spec of a Deployment."""
    spec: Mapping[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def container(deployment: Object) -> Mapping[str, Any]:
    """The one container of a Deployment."""
    (only,) = pod(deployment)["containers"]
    one: Mapping[str, Any] = only
    return one


def env(deployment: Object) -> dict[str, str]:
    """The variables that a Deployment sets, without those of Secrets."""
    return {row["name"]: row["value"] for row in container(deployment)["env"]}


def _all() -> Iterator[tuple[str, Sequence[Object]]]:
    for path in whole_files():
        yield str(path.relative_to(ROOT)), read(path)
    if not has_kubectl():
        return
    for folder in kustomizations():
        yield f"kubectl kustomize {folder.relative_to(ROOT)}", build(folder)
    for folder in components():
        yield f"base + {folder.relative_to(K8S)}", build_with(folder)


def main() -> None:
    """Print the table; exit 1 where something would be refused."""
    table = Table("what", "objects", *(f"Kubernetes {version}" for version in VERSIONS), box=None)
    wrong: list[str] = []
    for name, objects in _all():
        found = [problems(objects, version) for version in VERSIONS]
        wrong += [f"{name}: {problem}" for row in found for problem in row]
        table.add_row(name, str(len(objects)), *("refused" if row else "valid" for row in found))
    Console(width=120).print(table)
    if not has_kubectl():
        print(WITHOUT_KUBECTL)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
