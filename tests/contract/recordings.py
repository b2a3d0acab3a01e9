"""Recorded traffic of real providers that lies beside a checkout, and the server that plays it back."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

SHARED = Path(__file__).parents[3] / "shared"
RECORDINGS = SHARED / "data" / "wire"


def records(name: str) -> Iterator[dict[str, Any]]:
    """The recorded exchanges of one file."""
    with gzip.open(RECORDINGS / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


@asynccontextmanager
async def replaying(*names: str) -> AsyncIterator[int]:
    """The port where these files are played back, each exchange under its id."""
    module = _replay()
    server = await module.run(module.load([str(RECORDINGS / name) for name in names]), port=0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def _replay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("replay", SHARED / "tools" / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["replay"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
