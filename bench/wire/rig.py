"""A replay server and a providers service that has one endpoint per recording, each under the recording's id."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.mesh.processes import Servers, said
from bench.wire.records import Record
from services.chassis.settings import environment
from services.providers.adapters import WireFormat

FORMATS: dict[str, WireFormat] = {
    "openai.chat": "openai_chat",
    "openai.responses": "openai_responses",
    "openai.embeddings": "openai_chat",
    "anthropic.messages": "anthropic_messages",
    "gemini.generate": "gemini_generate",
    "cohere.chat": "cohere_chat",
    "ollama.chat": "ollama_chat",
}
_REPLAYING = re.compile(r"http://127\.0\.0\.1:(\d+)")
_READY = re.compile(r'"event":"ready",.*"port":(\d+)')
_GIVES_VECTORS = "openai.embeddings"
_CHAT = ["tools", "images", "documents", "json_schema", "reasoning"]


# The key of every endpoint: it may stand in requests, and nowhere else.
KEY = "sk-canary-5d0c1f8e"
_KEY_VARIABLE = "RECORDED_API_KEY"


@dataclass(frozen=True, slots=True)
class Serving:
    """A providers service: where it listens, and the file that it logs to."""

    port: int
    log: Path


@contextmanager
def serving(records: Iterable[Record], replay: Path, data: Path) -> Iterator[Serving]:
    """The providers service while it runs."""
    servers = Servers()
    try:
        files = sorted(str(path) for path in data.glob("*.jsonl.gz"))
        replaying = servers.start([sys.executable, "-u", str(replay), "--port", "0", *files], environment())
        upstream = said(replaying, _REPLAYING)
        config = servers.folder / "providers.toml"
        config.write_text("\n".join(_rows(records, upstream)))
        environ = {name: value for name, value in environment().items() if not name.startswith("OMNISPHERE_")}
        environ |= {
            "OMNISPHERE_SIMULATOR": "off",
            "OMNISPHERE_DISCOVER": "off",
            "OMNISPHERE_STATE": str(servers.folder),
            "OMNISPHERE_PROVIDERS_CONFIG": str(config),
            "OMNISPHERE_PROVIDERS_PORT": "0",
            "OMNISPHERE_PROVIDERS_METRICS_PORT": "-1",
            _KEY_VARIABLE: KEY,
            "OMNISPHERE_PROVIDERS_ATTEMPTS": "1",
        }
        service = servers.start([sys.executable, "-m", "services.providers"], environ)
        yield Serving(int(said(service, _READY)), service.output)
    finally:
        servers.close()


def _rows(records: Iterable[Record], upstream: str) -> Iterator[str]:
    """A model and an endpoint of one recording each, as TOML."""
    for record in records:
        vectors = record.api == _GIVES_VECTORS
        yield from (
            "[[model]]",
            f"id = {json.dumps(record.id)}",
            'vendor = "recorded"',
            'tier = "small"',
            "window_tokens = 1_000_000",
            f"max_output_tokens = {0 if vectors else 4096}",
            f"capabilities = {json.dumps(['embeddings'] if vectors else _CHAT)}",
            "[[endpoint]]",
            f"name = {json.dumps(record.id)}",
            f"base_url = {json.dumps(f'http://127.0.0.1:{upstream}/{record.id}')}",
            f"format = {json.dumps(FORMATS[record.api])}",
            f"key_variable = {json.dumps(_KEY_VARIABLE)}",
            f"serves = {{ {json.dumps(record.id)} = {json.dumps(record.model)} }}",
        )
