"""python -m tools.release: make dist/ with what a release consists of, the same bytes each time.

dist/omnisphere-protos-<version>.tar.gz      the contracts and the service config, for clients in any language
dist/omnisphere-<version>-*.whl              the services and the command
dist/omnisphere_client-<version>-*.whl       the Python client
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "clients/python"
PROTOS = ROOT / "protos"
# Wheels know no earlier time; the same for every file, so that the archive depends on its contents alone.
_EPOCH = 315_532_800


def version(project: Path) -> str:
    """The version that a folder's pyproject.toml names."""
    named: str = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return named


def archive(into: Path) -> Path:
    """Pack the contracts; the path of the archive."""
    top = f"omnisphere-protos-{version(ROOT)}"
    files = {path.relative_to(PROTOS).as_posix(): path for path in (PROTOS / "omnisphere").rglob("*.proto")}
    files |= {"omnisphere/service_config.json": PROTOS / "omnisphere/service_config.json"}
    files |= {"README.md": PROTOS / "README.md", "LICENSE": ROOT / "LICENSE"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            data = files[name].read_bytes()
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), _EPOCH, 0o644
            tar.addfile(entry, io.BytesIO(data))
    path = into / f"{top}.tar.gz"
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return path


def wheel(project: Path, into: Path) -> Path:
    """Build a wheel from a folder with a pyproject.toml; its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    name = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    (made,) = into.glob(f"{name.replace('-', '_')}-{version(project)}-*.whl")
    return made


def main() -> None:
    """Make dist/, and say what each file's SHA-256 is."""
    if version(ROOT) != version(CLIENT):
        sys.exit(
            f"pyproject.toml says {version(ROOT)}, clients/python/pyproject.toml {version(CLIENT)}: make them equal"
        )
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    for path in (archive(dist), wheel(ROOT, dist), wheel(CLIENT, dist)):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
