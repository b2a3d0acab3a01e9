"""python -m bench.score_mesh FILE: the figures of a run of bench.mesh, from the rows that it wrote and nothing else.

Rows are windows (`target`, `path`, `at_once`, `round`, `requests`, `seconds`, `rps`, `p50` and `p99` in microseconds,
`cpu_us` per request, `tokens` per stream), starts of services (`path` "start": `target`, `start_s`, `rss_mb`,
`rss_loaded_mb`) and of other gateways (`path` "peer_start": `target`, `start_s`, `rss_loaded_mb`). A ratio is the
median over rounds of what two windows of the same round give. What was not measured is null.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
FIELDS = ("rps", "p50", "p99", "cpu_us")
_AT_ONCE, _STREAMS = 16, 100


def read(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The object of bench.mesh's last line."""
    return {
        "one_process": {
            "hit_cpu_vs_echo": ratio(rows, "hit", "one_process", "echo", "cpu_us"),
            "hit_rps_vs_echo": ratio(rows, "hit", "one_process", "echo", "rps"),
            "hit_rps_vs_echo_bare": ratio(rows, "hit", "bare", "echo", "rps"),
            "hit_p50_vs_echo": ratio(rows, "hit", "one_process", "echo", "p50", at_once=1),
            "miss_cpu_vs_echo": ratio(rows, "miss", "one_process", "echo", "cpu_us"),
            "miss_rps_vs_echo": ratio(rows, "miss", "one_process", "echo", "rps"),
            **_streams(rows, "one_process"),
        },
        "mesh": {
            "hit_cpu_vs_echo2": ratio(rows, "hit", "mesh", "echo2", "cpu_us"),
            "hit_rps_vs_echo2": ratio(rows, "hit", "mesh", "echo2", "rps"),
            "miss_p50_vs_echo": ratio(rows, "miss", "mesh", "echo", "p50", at_once=1),
            "miss_cpu_vs_echo": ratio(rows, "miss", "mesh", "echo", "cpu_us"),
            **_streams(rows, "mesh"),
        },
        "providers": {
            "cpu_vs_echo": ratio(rows, "providers", "providers", "echo", "cpu_us"),
            "rps_vs_echo": ratio(rows, "providers", "providers", "echo", "rps"),
            "floor_cpu_vs_echo": ratio(rows, "providers", "exchange", "echo", "cpu_us"),
            **_relay(rows),
        },
        "echo": {"stream_tokens_s": _tokens(rows, "stream", "echo")},
        "http": _http(rows),
        "peers": _peers(rows),
        "rss_mb": {row["target"]: row["rss_loaded_mb"] for row in rows if row["path"] == "start"},
        "start_s": {row["target"]: row["start_s"] for row in rows if row["path"] == "start"},
    }


def medians(rows: Sequence[Row]) -> dict[tuple[str, int, str], dict[str, float]]:
    """Per path, calls at once and target: the median of each figure over the rounds."""
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        if "round" in row:
            groups.setdefault((row["path"], row["at_once"], row["target"]), []).append(row)
    return {
        key: {field: statistics.median(row[field] for row in group) for field in FIELDS}
        for key, group in groups.items()
    }


def ratio(
    rows: Sequence[Row], path: str, mine: str, theirs: str, field: str, *, at_once: int = _AT_ONCE
) -> float | None:
    """Mine divided by theirs, round by round; the median."""
    found: dict[str, dict[int, float]] = {mine: {}, theirs: {}}
    for row in rows:
        if row["path"] == path and row.get("at_once") == at_once and row["target"] in found:
            found[row["target"]][row["round"]] = row[field]
    both = found[mine].keys() & found[theirs].keys()
    ratios = [found[mine][number] / found[theirs][number] for number in both if found[theirs][number]]
    return _rounded(statistics.median(ratios)) if ratios else None


def _streams(rows: Sequence[Row], target: str) -> dict[str, float | None]:
    return {
        "stream_tokens_s": _tokens(rows, "stream", target),
        "stream_vs_echo": ratio(rows, "stream", target, "echo", "rps", at_once=_STREAMS),
        "stream_cpu_vs_echo": ratio(rows, "stream", target, "echo", "cpu_us", at_once=_STREAMS),
        "stream_paced_tokens_s": _tokens(rows, "stream_paced", target),
    }


def _tokens(rows: Sequence[Row], path: str, target: str) -> float | None:
    rates = [row["rps"] * row["tokens"] for row in rows if row["path"] == path and row["target"] == target]
    return round(statistics.median(rates)) if rates else None


def _relay(rows: Sequence[Row]) -> dict[str, float | None]:
    """Gaps between relayed tokens, divided by the pace of the upstream."""
    mine = [row for row in rows if row["path"] == "relay"]
    figures: dict[str, float | None] = {}
    for name in ("gap", "worst_gap"):
        ratios = [row[f"{name}_ms"] / row["pace_ms"] for row in mine]
        figures[f"relay_{name}_vs_pace"] = _rounded(statistics.median(ratios)) if ratios else None
    return figures


def _http(rows: Sequence[Row]) -> dict[str, float | None]:
    middle = medians(rows)
    told: dict[str, float | None] = {}
    for name, target in (("hit", "edge_hit"), ("miss", "edge_miss")):
        many, lone = middle.get(("http", _AT_ONCE, target)), middle.get(("http", 1, target))
        direct = middle.get(("http", 1, "upstream"))
        told[f"{name}_rps"] = round(many["rps"]) if many else None
        told[f"{name}_cpu_us"] = round(many["cpu_us"]) if many else None
        told[f"{name}_rps_vs_direct"] = ratio(rows, "http", target, "upstream", "rps")
        told[f"{name}_p50_added_us"] = round(lone["p50"] - direct["p50"]) if lone and direct else None
    return told


def _peers(rows: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    """Of each gateway that ran: ours through the HTTP edge, divided by theirs."""
    starts = {
        row["target"]: {"rss_mb": row["rss_loaded_mb"], "start_s": row["start_s"]}
        for row in rows
        if row["path"] == "peer_start"
    }
    names = [row["path"].removeprefix("peer:") for row in rows if row["path"].startswith("peer:")]
    return {
        name: {
            "rps_ratio": ratio(rows, f"peer:{name}", "omnisphere", name, "rps"),
            "p50_ratio": ratio(rows, f"peer:{name}", "omnisphere", name, "p50", at_once=1),
            "cpu_ratio": ratio(rows, f"peer:{name}", "omnisphere", name, "cpu_us"),
            **starts.get(name, {}),
        }
        for name in dict.fromkeys(names)
    }


def _rounded(value: float) -> float:
    """Three digits that count."""
    return float(f"{value:.3g}")


def main() -> None:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    print(json.dumps(figures(read(parser.parse_args().file))))


if __name__ == "__main__":
    main()
