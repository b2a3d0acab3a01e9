"""Keeps outcomes in a file, and plays them to the learner of the next process."""

from __future__ import annotations

from collections.abc import Callable

from services.chassis.logs import Log
from services.ledger.file import LedgerFailed
from services.ledger.ledger import Ledger
from services.ledger.table import Row, Table
from services.router.learning import feedback_token
from services.router.learning.outcomes import SOURCES, Outcome

OUTCOMES = Table(
    name="outcome",
    schema=1,
    columns=(
        ("at", "integer"),
        ("tenant", "text"),
        ("request_id", "text"),
        ("task", "text"),
        ("model", "text"),
        ("score", "real"),
        ("source", "text"),
        ("propensity", "real"),
        ("noted", "text"),
    ),
    indexes=("at",),
)
_MOST_PLAYED = 100_000


class OutcomeBook:
    """The file of outcomes; None: nothing outlasts the process."""

    def __init__(self, ledger: Ledger | None, log: Log) -> None:
        self._ledger = ledger
        self._log = log

    def keep(self, outcome: Outcome) -> None:
        """Keep it; returns at once."""
        if self._ledger is not None:
            self._ledger.add(
                (
                    int(outcome.at * 1000),
                    outcome.tenant,
                    outcome.request_id,
                    outcome.task_type,
                    outcome.model,
                    outcome.score,
                    outcome.source,
                    outcome.propensity,
                    feedback_token.packed(outcome.noted),
                )
            )

    async def start(self, take: Callable[[Outcome], object]) -> None:
        """Play what earlier processes kept, oldest first."""
        if self._ledger is None:
            return
        self._ledger.start()
        columns = ", ".join(OUTCOMES.names)
        query = f"SELECT * FROM (SELECT {columns} FROM outcome ORDER BY at DESC LIMIT ?) ORDER BY at"  # noqa: S608 - ours
        try:
            rows = await self._ledger.read(query, (_MOST_PLAYED,))
        except LedgerFailed as failure:
            self._log.warning("outcomes_unread", cause=str(failure))
            return
        for row in rows:
            take(_outcome(row))
        self._log.info("outcomes", played=len(rows))

    async def stop(self) -> None:
        """Write what waits."""
        if self._ledger is not None:
            await self._ledger.stop()


def _outcome(row: Row) -> Outcome:
    at, tenant, request_id, task, model, score, source, propensity, noted = row
    return Outcome(
        tenant=str(tenant),
        request_id=str(request_id),
        task_type=str(task),
        model=str(model),
        score=float(score or 0.0),
        source=SOURCES.get(str(source), "feedback"),
        at=float(at or 0) / 1000,
        propensity=float(propensity or 1.0),
        noted=feedback_token.unpacked(str(noted)),
    )
