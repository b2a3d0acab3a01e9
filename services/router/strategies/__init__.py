"""Strategies: code that plans. One file each; value in, plan out."""

from __future__ import annotations

from typing import Protocol

from services.router.plan import Facts, Plan


class Strategy(Protocol):
    """Orders models for one request.

    Pure and quick (no I/O). May drop models, must not invent any. An empty plan means that nothing suits, and says in
    `dropped` why; the caller turns it into an error.
    """

    def plan(self, facts: Facts) -> Plan:
        """The plan."""
