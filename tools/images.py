"""python -m tools.images: build an image per service with podman, run all of them as the local overlay does, stop them.

BASE and BUILDER in the environment name the images to start from (deploy/make_base.sh makes both where no registry is
reachable). pip's settings of this machine, and the certificates they name, reach the builder as secrets of the build:
they are in no layer. Needs podman; running needs root, because containers are looked into from outside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.chassis.settings import environment
from tools import manifests
from tools.containers import check, tag
from tools.manifests import ROOT

TARGETS = ("router", "cache", "context", "providers", "simulator", "cli")
_SECRET_CERTIFICATES = "/etc/pip-ca.crt"  # noqa: S105 - a path, see deploy/Containerfile


@dataclass(frozen=True, slots=True)
class Built:
    """An image, and what is known about it."""

    target: str
    name: str
    megabytes: float
    seconds: float


def pip_configuration(settings: Mapping[str, str], *, certificates: str) -> str:
    """A pip.conf with these options, for a builder that has the certificates in another place."""
    there = dict(settings)
    if "cert" in there:
        there["cert"] = certificates
    there.pop("find-links", None)  # a folder of this machine
    return "\n".join(["[global]", *(f"{option} = {value}" for option, value in sorted(there.items()))]) + "\n"


def pip_options(listed: str) -> dict[str, str]:
    """The options that `pip config list` prints, such as global.cert='...'; the environment's come before a file's."""
    pairs = [line.partition("=") for line in listed.splitlines()]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    return {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}


def build(target: str, version: str, secrets: Path) -> Built:
    """Build one image. Raises CalledProcessError after podman has said why."""
    name = f"omnisphere-{target}:{version}"
    asked = environment()
    bases = [f"--build-arg={variable}={asked[variable]}" for variable in ("BASE", "BUILDER") if asked.get(variable)]
    command = ["podman", "build", "--quiet", "--layers", "--network=host", *bases]
    command += [f"--secret=id={path.name},src={path}" for path in sorted(secrets.iterdir())]
    command += [f"--target={target}", f"--tag={name}", "--file=deploy/Containerfile", "."]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    size = json.loads(_said(["podman", "image", "inspect", name]))[0]["Size"]
    return Built(target, name, size / 1e6, seconds)


def _secrets(folder: Path) -> None:
    """pip.conf and certificates, for the time of the build."""
    settings = pip_options(_said([sys.executable, "-m", "pip", "config", "list"]))
    (folder / "pip").write_text(pip_configuration(settings, certificates=_SECRET_CERTIFICATES), encoding="utf-8")
    if "cert" in settings:
        shutil.copyfile(settings["cert"], folder / "pip-ca")


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Build, print sizes, then run what was built. Exit 1 with one line when something is missing or wrong."""
    if shutil.which("podman") is None:
        sys.exit("images need podman (on Debian, as root: apt-get install podman buildah runc)")
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="omnisphere-images-") as folder:
        _secrets(Path(folder))
        try:
            built = [build(target, tag(), Path(folder)) for target in TARGETS]
        except subprocess.CalledProcessError as failure:
            sys.exit(f"podman build ended with {failure.returncode}; without a registry: deploy/make_base.sh")
    table = Table("image", "MB", "built in, s", box=None)
    for one in built:
        table.add_row(one.name, f"{one.megabytes:.0f}", f"{one.seconds:.0f}")
    console.print(table)
    if os.geteuid() != 0 or not manifests.has_kubectl():
        print("not run: that needs root and kubectl, which says what the manifests come to")
        return
    check(console)


if __name__ == "__main__":
    main()
