"""What a dashboard is made of: rows, panels, and the expressions that most of them ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `asks` are (expression, legend)."""

    title: str
    unit: str
    asks: tuple[tuple[str, str], ...]
    text: str = ""
    stat: bool = False
    width: int = 12
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading. `optional`: left out while one of its metrics does not exist."""

    title: str
    panels: tuple[Panel, ...]
    optional: bool = False


def rate(name: str, by: str = "", only: str = "") -> str:
    """Per second, added up."""
    chosen = f"{{{only}}}" if only else ""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({name}{chosen}[$__rate_interval]))"


def over_range(name: str) -> str:
    """In the time that is shown, added up."""
    return f"sum(increase({name}[$__range]))"


def quantile(part: str, name: str, by: str = "") -> str:
    """A quantile of a histogram, `part` from "0" to "1"."""
    return f"histogram_quantile({part}, {rate(f'{name}_bucket', f'le, {by}' if by else 'le')})"


def small(title: str, unit: str, expression: str, text: str = "") -> Panel:
    """One figure."""
    return Panel(title, unit, ((expression, ""),), text, stat=True, width=4, height=4)
