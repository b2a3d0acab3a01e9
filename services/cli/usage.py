"""What was used, spent and saved: the question to the router, and its rows as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.settings import StartError
from services.cli import show
from services.cli.moment import read_moment

GROUPINGS = {
    "model": pb.USAGE_GROUPING_MODEL,
    "task": pb.USAGE_GROUPING_TASK,
    "day": pb.USAGE_GROUPING_DAY,
    "tenant": pb.USAGE_GROUPING_TENANT,
}
# The field of chat.v1.Usage, and the two lines of its heading.
_TOKENS = {
    "input_uncached_tokens": "in\nuncached",
    "input_cache_read_tokens": "cache\nread",
    "input_cache_write_tokens": "cache\nwrite",
    "output_tokens": "\nout",
    "reasoning_tokens": "\nreasoning",
}
# What is left of a key on a narrow terminal.
_KEY_WIDTH = 8
_SAVINGS = (
    "Savings are estimates: what cached answers once cost, and what the policy's reference model would have cost for"
    " the same tokens, less the cost. They say nothing about quality: the ledger does not know how good an answer was."
)
_UNPRICED = "unpriced: for some of it no price is known; that part is not in the cost, and it is not free."
_COUNTED = "~ tokens were counted here, in part: not every answer said how many they were."


def read_groupings(said: Iterable[str]) -> list[str]:
    """The groupings of `--by model,day --by task`, in that order. Raises StartError."""
    names = [name.strip() for part in said for name in part.split(",") if name.strip()]
    for place, name in enumerate(names):
        if name not in GROUPINGS:
            raise StartError(f"--by: {name!r} is none of {', '.join(GROUPINGS)}")
        if name in names[:place]:
            raise StartError(f"--by: {name!r} is named twice")
    return names


def question(by: Sequence[str], *, since: str, until: str, now: datetime) -> pb.GetUsageRequest:
    """What the router is asked; an empty bound is none. Raises StartError."""
    request = pb.GetUsageRequest(group_by=[GROUPINGS[name] for name in by])
    for option, said, bound in (("--since", since, request.since), ("--until", until, request.until)):
        if said:
            try:
                bound.FromDatetime(read_moment(said, now=now))
            except ValueError as failure:
                raise StartError(f"{option}: {failure}") from failure
    if since and until and request.since.ToNanoseconds() >= request.until.ToNanoseconds():
        raise StartError("--since: is not before --until")
    return request


def as_json(rows: Iterable[pb.UsageRow], by: Sequence[str]) -> str:
    """One object a line, with the same fields in each; money in integer nano-dollars."""
    return "".join(json.dumps(_fields(row, by)) + "\n" for row in rows)


def as_csv(rows: Iterable[pb.UsageRow], by: Sequence[str]) -> str:
    """The same fields under a line of their names."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_fields(pb.UsageRow(keys=by), by)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _word(value) for name, value in _fields(row, by).items()})
    return out.getvalue()


def title_of(request: pb.GetUsageRequest) -> str:
    """Whose usage, and of which time."""
    whose = "all tenants" if pb.USAGE_GROUPING_TENANT in request.group_by else "the caller's tenant"
    since = f" since {_said(request.since.ToDatetime(UTC))}" if request.HasField("since") else ""
    until = f" before {_said(request.until.ToDatetime(UTC))}" if request.HasField("until") else ""
    return f"Usage of {whose}{since}{until}"


def print_table(console: Console, rows: Sequence[pb.UsageRow], by: Sequence[str], *, title: str) -> None:
    """The rows, a line with their sums, and what the figures mean. Kinds of tokens that nobody used are left out."""
    total = total_of(rows)
    always = ("input_uncached_tokens", "output_tokens")
    used = [name for name in _TOKENS if name in always or getattr(total.usage, name)]
    # A request that failed before a model answered has none.
    keys = [[key or "-" for key in row.keys] for row in rows] if by else []
    figures = [_cells(row, used) for row in (*(rows if by else ()), total)]
    headings = (
        "\nrequests",
        *(_TOKENS[name] for name in used),
        "\ncost",
        "est. saved\nby cache",
        "est. saved\nby routing",
    )
    widths = _widths(headings, figures)
    key_widths = _widths(by or ("total",), [*keys, ["total", *by[1:]]])
    # On a narrow terminal words are cut, and then lines are broken; a figure is neither cut nor left out.
    left = console.width - sum(widths) - len(widths) - len(key_widths)
    if sum(key_widths) > left:
        key_widths = [min(width, max(left // len(key_widths), _KEY_WIDTH)) for width in key_widths]
    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.width = sum(key_widths) + len(key_widths) + sum(widths) + len(widths)
    for name, width in zip(by or ("",), key_widths, strict=True):
        table.add_column(f"\n{name}", no_wrap=True, width=width)
    for name, width in zip(headings, widths, strict=True):
        table.add_column(name, no_wrap=True, justify="right", width=width)
    for names, cells in zip(keys, figures, strict=False):
        table.add_row(*map(Text, names), *cells)
    table.add_section()
    table.add_row("total", *[""] * (len(by) - 1), *figures[-1], style="bold")
    console.print(table)
    for said in (_SAVINGS, *([] if total.cost.priced else [_UNPRICED]), *([_COUNTED] if total.usage.estimated else [])):
        console.print(f"[dim]{said}[/dim]", highlight=False)


def total_of(rows: Iterable[pb.UsageRow]) -> pb.UsageRow:
    """The sum of all rows; unpriced and estimated as soon as one of them is."""
    total = pb.UsageRow(cost=chat_pb2.Cost(priced=True))
    for row in rows:
        total.requests += row.requests
        for name in _TOKENS:
            setattr(total.usage, name, getattr(total.usage, name) + getattr(row.usage, name))
        total.usage.estimated |= row.usage.estimated
        total.cost.nanousd += row.cost.nanousd
        total.cost.priced &= row.cost.priced
        total.cache_savings_nanousd += row.cache_savings_nanousd
        total.routing_savings_nanousd += row.routing_savings_nanousd
    return total


def _widths(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column must be for its heading and for all that stands under it."""
    return [
        max(len(text) for said in column for text in said.split("\n")) for column in zip(headings, *lines, strict=True)
    ]


def _fields(row: pb.UsageRow, by: Sequence[str]) -> dict[str, str | int]:
    return {
        **dict(zip(by, row.keys, strict=True)),
        "requests": row.requests,
        **{name: getattr(row.usage, name) for name in _TOKENS},
        "tokens_estimated": row.usage.estimated,
        "cost_nanousd": row.cost.nanousd,
        "priced": row.cost.priced,
        "cache_savings_nanousd": row.cache_savings_nanousd,
        "routing_savings_nanousd": row.routing_savings_nanousd,
        "savings_estimated": True,
    }


def _word(value: str | int) -> str | int:
    return json.dumps(value) if isinstance(value, bool) else value


def _cells(row: pb.UsageRow, used: Sequence[str]) -> list[str]:
    mark = "~" if row.usage.estimated else ""
    return [
        f"{row.requests:,}",
        *(f"{mark if getattr(row.usage, name) else ''}{getattr(row.usage, name):,}" for name in used),
        show.cost(row.cost),
        show.money(row.cache_savings_nanousd),
        show.money(row.routing_savings_nanousd),
    ]


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
