"""A real Prometheus, where there is one, scrapes a mesh: every panel has something to show, and no rule is broken."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.together.four_processes import FourProcesses
from tests.mesh.harness import connected, started
from tests.mesh.promql import OBSERVABILITY, dashboard, expressions
from tests.mesh.test_observability import RESTLESS, SERVICES, traffic

PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not here (apt-get install prometheus)"),
]
_SECONDS = 20.0


@asynccontextmanager
async def prometheus(folder: Path, mesh: FourProcesses) -> AsyncIterator[str]:
    """Its address; it reads our rules, and scrapes this mesh four times a second in place of the usual ports."""
    document = yaml.safe_load((OBSERVABILITY / "prometheus.yaml").read_text(encoding="utf-8"))
    document["global"] = {"scrape_interval": "250ms", "evaluation_interval": "1s"}
    document["rule_files"] = [str(OBSERVABILITY / "omnisphere-alerts.yaml")]
    for entry in document["scrape_configs"][0]["static_configs"]:
        entry["targets"] = [f"127.0.0.1:{mesh.services[entry['labels']['service']].metrics_port}"]
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(PROMETHEUS),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def ask(base: str, path: str, **query: str) -> Any:
    """What its API answers; None while it does not listen yet."""

    def fetch() -> Any:
        try:
            with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5) as response:  # noqa: S310
                return json.loads(response.read())["data"]
        except urllib.error.HTTPError as failure:
            failure.close()
            return None
        except urllib.error.URLError:
            return None

    return await asyncio.to_thread(fetch)


async def until_scraped(base: str, times: int) -> None:
    """Wait until every service has been scraped so often."""
    for _ in range(int(_SECONDS / 0.1)):
        answer = await ask(base, "query", query='count_over_time(up{job="omnisphere"}[1m]) and up == 1')
        counts = {row["metric"]["service"]: float(row["value"][1]) for row in answer["result"]} if answer else {}
        if counts.keys() == SERVICES and min(counts.values()) >= times:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"scraped so far: {counts}")


@pytest.mark.timeout(60)
async def test_every_panel_has_data_and_every_rule_is_evaluated(state: Path):
    panels = {panel["title"] for panel in dashboard()["panels"]}
    async with started(state, **RESTLESS) as running, connected(running) as mesh, prometheus(state, running) as base:
        await until_scraped(base, 2)
        await traffic(mesh)
        await until_scraped(base, 12)
        empty = []
        for each in expressions():
            answer = await ask(base, "query", query=each.text)
            assert answer is not None, f"{each.where}: {each.text}"
            is_panel = each.where.rsplit(" ", 1)[0] in panels
            if is_panel and not answer["result"]:
                empty.append(each.where)
        assert empty == []
        groups = (await ask(base, "rules"))["groups"]
        rules = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert set(rules.values()) == {"ok"}
