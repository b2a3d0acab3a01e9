"""The figures as tables for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show(figures: Mapping[str, Any]) -> None:
    """Print what a run found."""
    for artefact, budgets in figures.items():
        if artefact == "replay":
            continue
        print(f"\n{artefact}: evidence kept, % (gain over the baseline of this run)")
        for budget, values in budgets.items():
            gain = f" ({values['gain']:+.2f})" if "gain" in values else ""
            kinds = "  ".join(f"{kind} {share:.1f}" for kind, share in values["by_kind"].items())
            print(f"  {int(budget):5}  {values['recall']:.2f}{gain}  over budget {values['over_budget']}  {kinds}")
    for policy, values in figures.get("replay", {}).items():
        print(
            f"{policy:>16}: cached {values['cached_share']:.1f} %, evidence kept {values['recall']:.1f} % of "
            f"{values['questions']} questions, {values['requests']} requests, {values['tokens']:,} tokens"
        )
