"""python -m tools.dashboard: write the Grafana dashboard from tools/dashboard_rows.py. `--check` only compares."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.dashboard_panels import Panel, Row
from tools.dashboard_rows import ROWS
from tools.metric_tables import tables

PATH = Path(__file__).parents[1] / "deploy/observability/omnisphere-dashboard.json"
# Grafana chooses the data source when the dashboard is opened; nothing in the file knows one.
_SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
_SCHEMA = 41
_WIDTH = 24
_NAME = re.compile(r"\b(?:omnisphere|gen_ai_client)_[a-z_]+(?=[{\[)\s])")


def document() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "id": None,
        "uid": "omnisphere",
        "title": "Omnisphere",
        "description": "Requests, latency, cost, tokens, cache, fallbacks, models, calls and books of the mesh.",
        "tags": ["omnisphere"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "DS_PROMETHEUS",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {},
                    "hide": 0,
                    "includeAll": False,
                    "multi": False,
                    "options": [],
                    "refresh": 1,
                }
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels(rows())),
    }


def rows() -> list[Row]:
    """The rows whose metrics there are."""
    series = {name for metrics in tables().values() for metric in metrics for name in metric.series}
    return [row for row in ROWS if names_in(row) <= series or not row.optional]


def names_in(row: Row) -> set[str]:
    """The metrics that a row asks for."""
    return {name for panel in row.panels for expression, _ in panel.asks for name in _NAME.findall(expression)}


def text() -> str:
    """The file's text."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _panels(wanted: list[Row]) -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for row in wanted:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": _WIDTH, "x": 0, "y": y},
            "panels": [],
        }
        number, y, x, height = number + 1, y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            yield _panel(panel, number, x, y)
            number, x, height = number + 1, x + panel.width, max(height, panel.height)
        y += height


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": _SOURCE,
            "editorMode": "code",
            "expr": expression,
            "legendFormat": legend,
            "range": True,
        }
        for place, (expression, legend) in enumerate(panel.asks)
    ]
    shown: dict[str, Any] = {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
    if panel.stat:
        shown["options"] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    else:
        shown["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return shown


def main() -> None:
    """Write it, or with --check exit 1 when it is not current."""
    if "--check" not in sys.argv:
        PATH.write_text(text(), encoding="utf-8")
    elif not PATH.exists() or PATH.read_text(encoding="utf-8") != text():
        sys.exit(f"not current: {PATH.name}; run `make docs`")


if __name__ == "__main__":
    main()
