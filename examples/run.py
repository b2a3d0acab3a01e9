"""python -m examples.run [NAME ...]: run the examples against a mesh of four processes and a simulator of its own.

A language whose toolchain this machine lacks is skipped with one line. Exit code 1: an example did not behave.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.chassis.settings import environment
from services.together.four_processes import FourProcesses

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PROTOS = HERE.parent / "protos"
# Its provider limits the rate for as long as the examples run.
BUSY_MODEL = "claude-opus-5-5"
_RUN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Example:
    """One language: the programs that it needs, how to prepare it, how to run it. `made` is what preparing makes."""

    name: str
    needs: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it lives; its commands run there."""
        return HERE / self.name

    def missing(self) -> list[str]:
        """The programs that this machine lacks."""
        return [name for name in self.needs if shutil.which(name) is None]


EXAMPLES = (
    Example("python", (), (), (sys.executable, "main.py")),
    Example(
        "node",
        ("node", "npm"),
        (("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"),),
        ("node", "main.js"),
    ),
    Example(
        "go",
        ("go",),
        (
            (str(BIN / "buf"), "generate", "../.."),
            ("cp", str(PROTOS / "omnisphere/service_config.json"), "gen/omnisphere/"),
            ("go", "build", "-o", "gen/example", "."),
        ),
        ("gen/example",),
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one example."""

    name: str
    code: int
    output: str
    seconds: float


@asynccontextmanager
async def mesh() -> AsyncIterator[dict[str, str]]:
    """A running mesh; what the examples need to know of it, as environment variables."""
    kept = {name: value for name, value in environment().items() if not name.startswith("OMNISPHERE_")}
    with tempfile.TemporaryDirectory(prefix="omnisphere-examples-") as folder:
        settings = {
            "OMNISPHERE_STATE": folder,
            "OMNISPHERE_SIMULATOR": "on",
            # Slow enough that 30 ms are never enough for an answer, quick enough not to be waited for.
            "OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0.3",
            "OMNISPHERE_ROUTER_DRAIN": "0s",
        }
        running = FourProcesses({**kept, **settings}, logs=Path(folder) / "logs", simulator=True)
        await running.start()
        try:
            await asyncio.to_thread(_limit_rate, running.services["simulator"].port)
            router = f"127.0.0.1:{running.services['router'].port}"
            yield {**kept, "OMNISPHERE_ROUTER": router, "OMNISPHERE_BUSY_MODEL": BUSY_MODEL}
        finally:
            await running.stop()


async def prepare(example: Example) -> str:
    """Fetch and build what it needs; what went wrong, or nothing."""
    for command in example.prepare:
        code, output = await _ran(command, example.folder, environment(), seconds=None)
        if code != 0:
            return output
    return ""


async def show(example: Example, environ: Mapping[str, str]) -> Outcome:
    """Run it against the mesh that `environ` names."""
    began = time.monotonic()
    code, output = await _ran(example.command, example.folder, environ, seconds=_RUN_SECONDS)
    return Outcome(example.name, code, output, time.monotonic() - began)


async def main(names: list[str]) -> int:
    """Run those that are named, or all that this machine can; the exit code."""
    unknown = set(names) - {example.name for example in EXAMPLES}
    if unknown:
        print(f"no such example: {', '.join(sorted(unknown))}")
        return 2
    outcomes = []
    async with mesh() as environ:
        for example in EXAMPLES:
            if names and example.name not in names:
                continue
            if missing := example.missing():
                print(f"\n{example.name}: skipped, this machine has no {' and no '.join(missing)}")
                continue
            failure = await prepare(example)
            outcome = Outcome(example.name, 1, failure, 0.0) if failure else await show(example, environ)
            print(f"\n{example.name}\n{outcome.output.rstrip()}")
            outcomes.append(outcome)
    print("\nexample   result   seconds")
    for outcome in outcomes:
        print(f"{outcome.name:<10}{'ok' if outcome.code == 0 else 'FAILED':<9}{outcome.seconds:.1f}")
    return 1 if any(outcome.code for outcome in outcomes) else 0


async def _ran(
    command: tuple[str, ...], folder: Path, environ: Mapping[str, str], *, seconds: float | None
) -> tuple[int, str]:
    """(exit code, all it printed); ended when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"not done after {seconds:g} s"
    return process.returncode or 0, output.decode(errors="replace")


def _limit_rate(simulator: int) -> None:
    """From now on one model answers 429, and says for how long."""
    fault = {"kind": "status", "status": 429, "retry_after": "7", "model": BUSY_MODEL, "times": 1_000_000}
    request = urllib.request.Request(
        f"http://127.0.0.1:{simulator}/faults",
        data=json.dumps(fault).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
