"""What a release consists of: contracts that stand alone, and a client's wheel with all that it needs and no more."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from omnisphere_client.version import __version__
from tools.release import CLIENT, PROTOS, ROOT, archive, version, wheel

GENERATED = ROOT / "protos/python/omnisphere"


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel."""
    return wheel(CLIENT, tmp_path_factory.mktemp("dist"))


def test_the_contracts_compile_from_their_archive_alone(tmp_path: Path) -> None:
    with tarfile.open(archive(tmp_path)) as tar:
        tar.extractall(tmp_path, filter="data")
    root = tmp_path / f"omnisphere-protos-{version(ROOT)}"
    protos = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    assert protos == sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    assert (root / "omnisphere/service_config.json").read_bytes() == (GENERATED / "service_config.json").read_bytes()
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--descriptor_set_out={tmp_path / 'set'}", *protos]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    assert (tmp_path / "set").stat().st_size > 0


def test_the_archive_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = archive(tmp_path).read_bytes()
    assert archive(tmp_path).read_bytes() == first
    with tarfile.open(archive(tmp_path)) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {(0, 0, "", 0o644)}
    assert len({entry.mtime for entry in entries}) == 1


@pytest.mark.slow
def test_the_clients_wheel_holds_the_contracts_and_no_service(client_wheel: Path) -> None:
    with zipfile.ZipFile(client_wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    generated = {
        f"omnisphere/{path.relative_to(GENERATED)}"
        for path in GENERATED.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    own = {f"omnisphere_client/{path.name}" for path in (CLIENT / "omnisphere_client").iterdir() if path.is_file()}
    assert {"omnisphere/py.typed", "omnisphere/service_config.json"} <= generated
    assert "omnisphere_client/py.typed" in own
    assert names == generated | own | {"omnisphere_client/LICENSE"}


@pytest.mark.slow
def test_the_client_works_from_its_wheel_with_its_own_dependencies(client_wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(client_wheel) as packed:
        packed.extractall(tmp_path)  # noqa: S202 (made here)
    program = (
        "import sys, omnisphere_client as c, omnisphere.router.v1.memory_service_pb2_grpc\n"
        "c.Client('127.0.0.1:1').close()\n"
        "print(c.__file__, *sorted(name.partition('.')[0] for name in sys.modules))"
    )
    site = next(path for path in sys.path if path.endswith("site-packages"))
    # -S: no .pth files, so that the checkout is not on the path
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {site!r}]\n{program}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    where, *modules = result.stdout.split()
    assert where.startswith(str(tmp_path))
    assert not {"services", "orjson", "prometheus_client", "httpx", "numpy"} & set(modules)


def test_the_client_has_the_version_and_the_floors_of_the_services() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    client = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert __version__ == client["version"] == ours["version"] == importlib.metadata.version("omnisphere")
    assert set(client["dependencies"]) <= set(ours["dependencies"])
    assert client["requires-python"] == ours["requires-python"]
