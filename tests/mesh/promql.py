"""What an expression asks of Prometheus: which metrics, with which labels, and which values it expects of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

OBSERVABILITY = Path(__file__).parents[2] / "deploy/observability"
_DASHBOARD = OBSERVABILITY / "omnisphere-dashboard.json"
_ALERTS = OBSERVABILITY / "omnisphere-alerts.yaml"
# What Grafana puts in their place.
_VARIABLES: Mapping[str, str] = {"$__rate_interval": "1m", "$__range": "1h"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One selector of an expression. `values` are those that its matchers name; a pattern is parted at its bars."""

    name: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression, where it stands, and the labels that its legend or its annotations show."""

    where: str
    text: str
    shown: frozenset[str]

    def parsed(self) -> promql_parser.Expr:
        """Its tree. Raises ValueError."""
        tree: promql_parser.Expr = promql_parser.parse(self.text)
        return tree

    def asked(self) -> list[Asked]:
        """Every selector in it, with the labels by which it is grouped."""
        return list(_selectors(self.parsed(), frozenset()))

    def groups(self) -> frozenset[str]:
        """The labels that its result can have, but for those of the target."""
        return frozenset(label for asked in self.asked() for label in asked.labels)


def dashboard() -> dict[str, Any]:
    """The file as it is."""
    document: dict[str, Any] = json.loads(_DASHBOARD.read_text(encoding="utf-8"))
    return document


def expressions() -> list[Expression]:
    """All of the dashboard and of the alerts."""
    found = []
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"]
            for variable, value in _VARIABLES.items():
                text = text.replace(variable, value)
            shown = frozenset(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            found.append(Expression(f"{panel['title']} {target['refId']}", text, shown))
    for rule in alerts():
        shown = frozenset(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        found.append(Expression(rule["alert"], rule["expr"], shown))
    return found


def alerts() -> list[dict[str, Any]]:
    """The rules of the alerts."""
    document = yaml.safe_load(_ALERTS.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def _selectors(tree: promql_parser.Expr, grouped: frozenset[str]) -> Iterator[Asked]:
    match tree:
        case promql_parser.VectorSelector():
            matchers = tree.matchers.matchers
            values = {(matcher.name, value) for matcher in matchers for value in matcher.value.split("|")}
            yield Asked(tree.name or "", grouped | {matcher.name for matcher in matchers}, frozenset(values))
        case promql_parser.MatrixSelector():
            yield from _selectors(tree.vector_selector, grouped)
        case promql_parser.AggregateExpr():
            more = frozenset(tree.modifier.labels) if tree.modifier else frozenset[str]()
            yield from _selectors(tree.expr, grouped | more)
        case promql_parser.BinaryExpr():
            yield from _selectors(tree.lhs, grouped)
            yield from _selectors(tree.rhs, grouped)
        case promql_parser.Call():
            for argument in tree.args:
                yield from _selectors(argument, grouped)
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _selectors(tree.expr, grouped)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            raise ValueError(f"{type(tree).__name__} is not known here")
