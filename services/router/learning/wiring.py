"""Wiring of what learns: the predictor and its artefact, outcomes and their file, the judge's verifier. No logic."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from services.chassis.clock import Clock
from services.chassis.logs import Log
from services.ledger.ledger import Ledger
from services.router.judge import Verdict, Verifier
from services.router.judge.agreement import Asked
from services.router.judge.untaught import by_agreement
from services.router.learning.artefact_keeper import ArtefactKeeper, first_artefact
from services.router.learning.forecasts import MOST_TENANTS, Forecasts
from services.router.learning.outcome_book import OUTCOMES, OutcomeBook
from services.router.learning.outcomes import Outcome, Outcomes
from services.router.metrics import RouterMetrics
from services.router.quality.predictor import Predictor
from services.router.settings import RouterSettings

if TYPE_CHECKING:
    from services.router.learning.outcome_stream import OutcomeStream


class Learning:
    """The parts, and their life."""

    def __init__(self, settings: RouterSettings, log: Log, clock: Clock, metrics: RouterMetrics) -> None:
        """Raises StartError where the artefact cannot be used."""
        predictor = Predictor(first_artefact(settings.artefact), most_tenants=MOST_TENANTS)
        self.forecasts = Forecasts(predictor, unusable=lambda: metrics.learning.outcomes.labels("other_artefact").inc())
        ledger = None
        if settings.ledger:
            ledger = Ledger(
                OUTCOMES,
                settings.outcomes_file(),
                log=log,
                clock=clock,
                keep=settings.ledger_keep,
                on_lost=lambda rows, why: metrics.ledger_lost.labels(why).inc(rows),
            )
        self._book = OutcomeBook(ledger, log)
        self._stream = _stream(settings, log, clock, metrics)
        key = settings.feedback_key.reveal().encode() if settings.feedback_key else secrets.token_bytes(32)
        self.outcomes = Outcomes(self.forecasts, self._keep, key=key, clock=clock, metrics=metrics.learning)
        self.verifier: Verifier = _NewestVerifier(predictor)
        self._artefacts = ArtefactKeeper(
            settings.artefact,
            lambda: predictor.artefact,
            predictor.swap,
            log,
            failed=lambda: metrics.reload_failures.labels("artefact").inc(),
        )

    async def start(self) -> None:
        """Take up what earlier processes learned."""
        await self._book.start(self.outcomes.take)
        if self._stream is not None:
            self._stream.start(self.outcomes.take)
        self._artefacts.start()

    async def stop(self) -> None:
        """Write what waits."""
        await self._artefacts.stop()
        if self._stream is not None:
            await self._stream.stop()
        await self._book.stop()

    def _keep(self, outcome: Outcome) -> None:
        self._book.keep(outcome)
        if self._stream is not None:
            self._stream.tell(outcome)


def _stream(settings: RouterSettings, log: Log, clock: Clock, metrics: RouterMetrics) -> OutcomeStream | None:
    """What routers share outcomes through, where there are several."""
    if settings.redis is None:
        return None
    from services.router.learning.outcome_stream import OutcomeStream  # one machine never loads it

    return OutcomeStream(
        settings.redis.reveal(),
        log=log,
        clock=clock,
        shared=metrics.learning.outcomes_shared.set,
        dropped=lambda: metrics.learning.outcomes.labels("untold").inc(),
    )


class _NewestVerifier:
    """The verifier of the artefact in use, for the ladder that it was taught; else priors and agreement by Bayes' rule.

    What was learned of some models (who of them errs alike) says nothing of others.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def verdict(self, asked: Asked) -> Verdict | None:
        """See Verifier."""
        escalation = self._predictor.artefact.escalation
        if escalation is None or not escalation.ladder.begins_with(asked.models):
            return by_agreement(asked)
        return escalation.verifier.verdict(asked)
