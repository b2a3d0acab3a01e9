"""The official OpenAI client for Node against the HTTP edge; skipped where there is no Node."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.mesh.harness import Mesh

HERE = Path(__file__).parent / "edge_node"
FILES = ("package.json", "package-lock.json", "check.mjs")
_INSTALL_SECONDS, _RUN_SECONDS = 120, 30


@pytest.fixture(scope="session")
def checker() -> Path:
    """The script beside its installed packages, in a directory outside of the sources that later runs find again."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the OpenAI client for Node is not tried")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"omnisphere-edge-node-{digest}"
    if not (folder / ".installed").exists():
        folder.mkdir(exist_ok=True)
        for name in FILES:
            shutil.copy(HERE / name, folder / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
        )
        if done.returncode != 0:
            pytest.skip("npm could not install the OpenAI client for Node")
        (folder / ".installed").touch()
    return folder / "check.mjs"


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_official_node_client_works_and_notices_what_breaks(mesh: Mesh, checker: Path) -> None:
    await mesh.fault(kind="cut", after_chunks=4, pause_ms=150, model="deepseek-v3.2", times=2)
    process = await asyncio.create_subprocess_exec(
        "node", str(checker), f"{mesh.base_url}/v1", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_RUN_SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    seen = json.loads(out)
    assert seen["whole"]["model"] == "claude-sonnet-5-5"
    assert int(seen["whole"]["cost"]) > 0
    assert seen["whole"]["request_id"]
    assert "Stream to Node" in seen["stream"]["text"]
    assert seen["stream"]["usage"]["completion_tokens"] > 0
    assert json.loads(seen["tool"]["arguments"]) == {"city": "simulated"}
    assert (seen["response"]["model"], seen["response"]["task"]) == ("claude-sonnet-5-5", "simple_qa")
    assert "claude-sonnet-5-5" in seen["response"]["text"]
    assert (seen["answering"][0], seen["answering"][-1]) == ("response.created", "response.completed")
    assert json.loads(seen["call"]["arguments"]) == {"city": "simulated"}
    assert {"auto", "claude-sonnet"} <= set(seen["models"])
    assert seen["unknown"] == {"type": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"}
    for broken in (seen["broken"], seen["brokenResponse"]):
        assert broken["text"]
        assert broken["ended"] == "stream_interrupted"
