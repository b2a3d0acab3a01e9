"""The Containerfile and what goes into a build; images themselves are built and run by `make images`."""

from __future__ import annotations

import re
import tomllib

import pytest

from tools import manifests
from tools.images import TARGETS, pip_configuration, pip_options
from tools.manifests import K8S, ROOT, SERVICES

TEXT = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_installs_its_own_lock_file_and_starts_its_own_command(target: str):
    stages = re.split(r"^FROM ", TEXT, flags=re.MULTILINE)
    (environment,) = (stage for stage in stages if stage.startswith(f"pip AS {target}-environment\n"))
    (final,) = (stage for stage in stages if stage.startswith(f"runtime AS {target}\n"))
    assert re.findall(r"requirements/\S+", environment) == [f"requirements/{target}.txt"]
    assert (ROOT / "requirements" / f"{target}.txt").is_file()
    (command,) = re.findall(r'ENTRYPOINT \["/opt/omnisphere/bin/([\w-]+)"\]', final)
    assert command == ("omnisphere" if target == "cli" else f"omnisphere-{target}")
    assert command in SCRIPTS


def test_every_service_of_the_manifests_has_a_target():
    assert set(TARGETS) == {*SERVICES, "simulator", "cli"}


def test_what_is_installed_is_pinned_and_its_source_is_not_named():
    installs = re.findall(r"(?:\$INSTALL|pip install|pip --\S+ install) .*", TEXT)
    assert len(installs) == 2 * len(TARGETS) + 1
    assert all("--require-hashes" in line or "--no-deps --no-index" in line for line in installs)
    assert "://" not in TEXT
    assert "latest" not in TEXT
    assert not re.search(r"(?i)index-url|trusted-host|ARG PIP|ENV PIP", TEXT)


def test_the_user_is_the_one_of_the_manifests():
    (deployment,) = manifests.of_kind(manifests.read(K8S / "base" / "router.yaml"), "Deployment").values()
    user = manifests.pod(deployment)["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}\n" in TEXT
    assert "STOPSIGNAL SIGTERM\n" in TEXT


def test_what_the_build_copies_is_let_through_and_nothing_else():
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE) for name in line.split()[:-1]}
    let_through = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert {name.partition("/")[0] for name in copied} == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_settings_of_pip_travel_without_the_paths_of_this_machine():
    listed = "global.cert='/here/certificates.crt'\nglobal.timeout='60'\n:env:.find-links='/here/wheels'\n"
    listed += ":env:.timeout='180'\n"
    options = pip_options(listed)
    assert options == {"cert": "/here/certificates.crt", "timeout": "180", "find-links": "/here/wheels"}
    written = pip_configuration(options, certificates="/there.crt")
    assert written == "[global]\ncert = /there.crt\ntimeout = 180\n"
