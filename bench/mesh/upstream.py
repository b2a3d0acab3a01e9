"""The model behind a miss: a tiny HTTP server in C that answers at once, compiled for the run."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.mesh.processes import BenchError, Servers, Started, said

TOKENS = 100
# Of a second upstream that sends its tokens one by one.
GAP_MS = 5
# Of a third, at the pace of a model that is read by a person.
RELAY_GAP_MS = 50
MODEL, PACED_MODEL, RELAYED_MODEL, NAME_THERE = "gpt-5-mini", "gpt-5-nano", "gpt-5", "gpt-mock"


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc")


def start(servers: Servers, source: Path, environ: Mapping[str, str], *, gap_ms: int = 0) -> Started:
    """Compile and start it. Raises BenchError where there is no compiler."""
    found = compiler()
    if found is None:
        raise BenchError("no C compiler: the upstream cannot be built (Debian: apt-get install gcc)")
    binary = servers.folder / "upstream"
    if not binary.exists():
        subprocess.run([found, "-O2", "-w", "-o", str(binary), str(source)], check=True, timeout=60)
    port = free_port()
    server = servers.start([str(binary), str(port), str(TOKENS), str(gap_ms)], environ)
    said(server, re.compile(r"(READY)"))
    server.port = port
    return server


def providers_toml(folder: Path, port: int, paced_port: int, relayed_port: int) -> Path:
    """Our configuration with these upstreams as the only endpoints, a model each."""
    path = folder / "providers.toml"
    path.write_text(
        "".join(
            f'[[endpoint]]\nname = "{name}"\nbase_url = "http://127.0.0.1:{where}/v1"\n'
            f'[endpoint.serves]\n"{model}" = "{NAME_THERE}"\n'
            for name, where, model in (
                ("upstream", port, MODEL),
                ("paced", paced_port, PACED_MODEL),
                ("relayed", relayed_port, RELAYED_MODEL),
            )
        )
    )
    return path


def free_port() -> int:
    """A port below the ephemeral range, where a client's own port could take it between two starts."""
    for port in range(21_000, 31_000, 7):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BenchError("no free port")
