"""python -m tools.docs: write the pages of docs/ that repeat what the code says. `--check` only compares.

docs/map.md            every file of services/ and of the Python client with the first sentence of its docstring
docs/configuration.md  every environment variable with type, default and meaning
docs/errors.md         every ErrorReason with its code and metadata
docs/metrics.md        every metric with its type, labels, unit and meaning
docs/models.md         every model of the catalogue with its list price
"""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.cache import settings as cache
from services.chassis.errors import BY_REASON
from services.chassis.settings import duration_text, variable
from services.context import settings as context
from services.providers import settings as providers
from services.router import settings as router
from services.simulator import settings as simulator
from tools import models_page
from tools.metric_tables import LABELS, tables

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_NOTE = "<!-- Written by `make docs`; do not edit. -->\n\n"
_SETTINGS: dict[str, tuple[type, str]] = {
    "router": (router.RouterSettings, "OMNISPHERE_ROUTER"),
    "cache": (cache.CacheSettings, "OMNISPHERE_CACHE"),
    "context": (context.ContextSettings, "OMNISPHERE_CONTEXT"),
    "providers": (providers.ProvidersSettings, "OMNISPHERE_PROVIDERS"),
    "simulator": (simulator.SimulatorSettings, "OMNISPHERE_SIMULATOR"),
}


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {
        "map.md": _map(),
        "configuration.md": _configuration(),
        "errors.md": _errors(),
        "metrics.md": _metrics(),
        "models.md": models_page.current(),
    }


def _map() -> str:
    lines = ["# Where things are", "", "The first sentence of every file."]
    packages = sorted(path for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())
    for package in (*packages, ROOT / "clients/python/omnisphere_client"):
        lines += ["", f"## {package.relative_to(ROOT)}", "", _first_sentence(package / "__init__.py"), ""]
        for path in sorted(package.rglob("*.py")):
            if path.name != "__init__.py" or path.parent != package:
                lines.append(f"- `{path.relative_to(package)}`: {_first_sentence(path)}")
    return _NOTE + "\n".join(lines) + "\n"


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0]


def _configuration() -> str:
    lines = [
        "# Configuration",
        "",
        "The environment says where and how; TOML files say what (`OMNISPHERE_PROVIDERS_CONFIG`,",
        "`OMNISPHERE_ROUTER_ROUTES`). Without any of it everything starts. `omnisphere check` validates all of it.",
    ]
    for name, (kind, prefix) in _SETTINGS.items():
        lines += ["", f"## {name}", "", "| variable | default | meaning |", "|---|---|---|"]
        lines += _rows(kind, prefix)
    return _NOTE + "\n".join(lines) + "\n"


def _rows(kind: type, prefix: str) -> Iterator[str]:
    fields: Any = dataclasses.fields(kind)
    for field in fields:
        if field.metadata.get("text"):
            yield f"| `{variable(field, prefix)}` | {_shown(field.default)} | {field.metadata['text']} |"


def _shown(default: object) -> str:
    match default:
        case None:
            return ""
        case bool():
            return "`on`" if default else "`off`"
        case timedelta():
            return f"`{duration_text(default)}`"
        case _:
            return f"`{default}`"


def _errors() -> str:
    lines = [
        "# Errors",
        "",
        'Every failing status carries `google.rpc.ErrorInfo` with `domain` "omnisphere" and one of these reasons.',
        "† may carry `google.rpc.RetryInfo`; `INVALID_REQUEST` also carries `google.rpc.BadRequest`. What each means,",
        "with an example: [error_reason.proto](../protos/omnisphere/errors/v1/error_reason.proto).",
        "",
        "| reason | gRPC code | metadata | means |",
        "|---|---|---|---|",
    ]
    waiting = {"PROVIDER_RATE_LIMITED", "PROVIDER_UNAVAILABLE", "NO_CANDIDATE_LEFT", "OVERLOADED"}
    for reason, kind in sorted(BY_REASON.items()):
        keys = ", ".join(f"`{key}`" for key in sorted(kind.keys))
        lines.append(f"| {reason}{' †' if reason in waiting else ''} | {kind.code.name} | {keys} | {kind.text} |")
    return _NOTE + "\n".join(lines) + "\n"


def _metrics() -> str:
    lines = [
        "# Metrics",
        "",
        "Each service shows its own on a port of its own (9461 to 9464: router, cache, context, providers); a mesh in",
        "one process shows all of them on the router's. A histogram's samples end with `_bucket`, `_sum` and `_count`.",
        "Counters begin with the process; where a label has few values all of them are there from the start, else each",
        "comes with its first event. No label holds what a caller can make up.",
        "Dashboard and alerts: [deploy/observability](../deploy/observability/README.md).",
    ]
    for who, metrics in tables().items():
        lines += ["", f"## {who}", "", "| metric | type | labels | unit | meaning |", "|---|---|---|---|---|"]
        for metric in metrics:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.text} |")
    used = {label for metrics in tables().values() for metric in metrics for label in metric.labels}
    lines += ["", "## Labels", "", "| label | values |", "|---|---|"]
    lines += [f"| `{label}` | {LABELS[label]} |" for label in sorted(used)]
    return _NOTE + "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages, or with --check exit 1 when one of them is not current."""
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"not current: {', '.join(stale)}; run `make docs`")


if __name__ == "__main__":
    main()
