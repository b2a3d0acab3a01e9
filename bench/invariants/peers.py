"""LiteLLM's and LangChain's trimmers on the same conversations, in an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.invariants.cases import Case, cases
from omnisphere.chat.v1 import chat_pb2 as chat

_PACKAGES = ("litellm>=1.80", "langchain-core>=1.0")
_SCRIPT = Path(__file__).parent / "peers_script.py"
_ROLES = {
    chat.ROLE_SYSTEM: "system",
    chat.ROLE_DEVELOPER: "system",
    chat.ROLE_USER: "user",
    chat.ROLE_ASSISTANT: "assistant",
    chat.ROLE_TOOL: "tool",
}


def run_peers(seed: int, count: int, directory: Path) -> dict[str, Any]:
    """What they break, by trimmer; their own counter counts. {} where they cannot be installed."""
    python = _installed(directory)
    if python is None:
        return {}
    lines = "\n".join(json.dumps(row) for row in _rows(seed, count))
    done = subprocess.run([python, _SCRIPT], input=lines, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"bench.invariants: the peers failed: {done.stderr.splitlines()[-1:]}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _installed(directory: Path) -> Path | None:
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    probe = subprocess.run([python, "-c", "import litellm, langchain_core"], capture_output=True, check=False)
    if probe.returncode != 0:
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES]
        if subprocess.run(install, check=False).returncode != 0:
            print("bench.invariants: the peers cannot be installed", file=sys.stderr)
            return None
    return python


def _rows(seed: int, count: int) -> Iterator[dict[str, Any]]:
    for case in cases(seed, count):
        yield {"share": case.share, "messages": openai_messages(case)}


def openai_messages(case: Case) -> list[dict[str, Any]]:
    """The conversation in OpenAI's JSON; ids are made unique where a shape repeats them."""
    rows: list[dict[str, Any]] = []
    rounds = 0
    for message in case.conversation.messages:
        calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]
        rounds += bool(calls)
        results = [part.tool_result for part in message.parts if part.HasField("tool_result")]
        for result in results:
            text = "".join(part.text for part in result.parts)
            rows.append({"role": "tool", "tool_call_id": f"{result.tool_call_id}/{rounds}", "content": text})
        if results:
            continue
        text = "".join(part.text for part in message.parts)
        row: dict[str, Any] = {"role": _ROLES[message.role], "content": text or ("" if not calls else None)}
        if calls:
            row["tool_calls"] = [
                {
                    "id": f"{call.id}/{rounds}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments_json},
                }
                for call in calls
            ]
        rows.append(row)
    return rows
