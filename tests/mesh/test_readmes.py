"""What the READMEs tell a person to type works as it stands, against a mesh."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.mesh.harness import Mesh

ROOT = Path(__file__).parents[2]
ADDRESS, HTTP = "127.0.0.1:50051", "127.0.0.1:8088"
CLIENT = ROOT / "clients/python/README.md"


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def _commands() -> list[str]:
    """Every command of the README, with its continued lines."""
    return "\n".join(_blocks(ROOT / "README.md", "sh")).replace("\\\n", " ").splitlines()


def _buf_lines() -> list[str]:
    return [command for command in _commands() if "buf curl" in command]


def _curl_lines() -> list[str]:
    return [command for command in _commands() if command.startswith("curl ")]


async def _run(arguments: list[str], mesh: Mesh) -> tuple[int, str, str]:
    """(exit code, what it printed, what it complained about), against this mesh instead of the usual address."""
    http = mesh.base_url.removeprefix("http://")
    here = [argument.replace(ADDRESS, f"127.0.0.1:{mesh.port}").replace(HTTP, http) for argument in arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*here, cwd=ROOT, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("program", [*_blocks(ROOT / "README.md", "python"), *_blocks(CLIENT, "python")])
async def test_a_python_example_runs_as_it_stands(mesh: Mesh, program: str) -> None:
    assert ADDRESS in program or HTTP in program
    code, out, err = await _run([sys.executable, "-W", "error", "-c", program], mesh)
    assert code == 0, err
    assert out


@pytest.mark.parametrize("command", _buf_lines())
async def test_a_buf_curl_line_runs_as_it_stands(mesh: Mesh, command: str) -> None:
    assert ADDRESS in command
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/buf"
    code, out, err = await _run([str(Path(sys.executable).with_name("buf")), *arguments], mesh)
    assert code == 0, err
    assert '"finishReason": "FINISH_REASON_STOP"' in out
    if "StreamComplete" in command:
        assert out.index('"started"') < out.index('"delta"') < out.index('"end"')


def test_there_is_a_line_for_a_stream_and_one_for_each_way_to_know_the_contract() -> None:
    lines = _buf_lines()
    assert {"StreamComplete" in line for line in lines} == {True, False}
    assert {"--schema protos" in line for line in lines} == {True, False}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize("command", _curl_lines())
async def test_a_curl_line_runs_as_it_stands(mesh: Mesh, command: str) -> None:
    assert HTTP in command
    code, out, err = await _run(shlex.split(command), mesh)
    assert code == 0, err
    assert '"finish_reason":"stop"' in out or out.rstrip().endswith('data: {"type":"message_stop"}')


def test_there_is_a_curl_line_for_each_dialect_and_one_of_them_streams() -> None:
    lines = _curl_lines()
    assert {"/v1/messages" in line for line in lines} == {True, False}
    assert {'"stream": true' in line for line in lines} == {True, False}
