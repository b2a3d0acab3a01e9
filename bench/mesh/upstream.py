"""The model behind a miss: a tiny HTTP server in C that answers at once, compiled for the run."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

from bench.mesh.processes import BenchError, Servers, Started, said

TOKENS = 100
MODEL, NAME_THERE = "gpt-5-mini", "gpt-mock"


def start(servers: Servers, source: Path, environ: dict[str, str]) -> Started:
    """Compile and start it. Raises BenchError where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("no C compiler: the upstream cannot be built (Debian: apt-get install gcc)")
    binary = servers.folder / "upstream"
    subprocess.run([compiler, "-O2", "-w", "-o", str(binary), str(source)], check=True, timeout=60)
    port = _free_port()
    server = servers.start([str(binary), str(port), str(TOKENS)], environ)
    said(server, re.compile(r"(READY)"))
    server.port = port
    return server


def providers_toml(folder: Path, port: int) -> Path:
    """Our configuration with that upstream as the only endpoint."""
    path = folder / "providers.toml"
    path.write_text(
        f'[[endpoint]]\nname = "upstream"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        f'[endpoint.serves]\n"{MODEL}" = "{NAME_THERE}"\n'
    )
    return path


def _free_port() -> int:
    """Below the ephemeral range, where a client's own port could take it between two starts."""
    for port in range(21_000, 31_000, 7):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BenchError("no free port")
