"""The /metrics of a running mesh, read as Prometheus reads them."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from services.together.four_processes import FourProcesses


async def metric_pages(running: FourProcesses) -> dict[str, str]:
    """The text of each service's /metrics."""
    ports = {name: service.metrics_port for name, service in running.services.items() if service.metrics_port}
    return {name: await asyncio.to_thread(_page, port) for name, port in ports.items()}


def samples_of(pages: Iterable[str]) -> list[Sample]:
    """All samples."""
    return [sample for page in pages for family in text_string_to_metric_families(page) for sample in family.samples]


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text: str = response.read().decode()
        return text
