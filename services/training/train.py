"""From recorded outcomes to an artefact: words, table, residual, costs, rate, ladder; and how well all that did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from services.router.quality.artefact import Artefact, Escalation, Evaluation
from services.router.quality.cost import CostModel, fit_cost
from services.router.quality.estimator import Estimator
from services.router.quality.features import NAMES, read
from services.router.quality.tuning import NOTHING, Tuned, rates_for, tune
from services.router.strategies.cost_aware import choose
from services.training.escalation import Played, find_escalation
from services.training.evaluate import auc, debiased_ece, explained
from services.training.folds import folds
from services.training.outcomes import Outcomes, OutcomesUnusable
from services.training.residual import fit_residual
from services.training.text import Read, fit_text

Floats = npt.NDArray[np.float64]
MOST_TERMS = 30_000
FEWEST_ROWS = 50
_FOLDS = 5
_OPTIONS = NAMES.index("options")


def train(outcomes: Outcomes, provenance: Mapping[str, Any], *, most_terms: int = MOST_TERMS) -> Artefact:
    """The artefact of these outcomes; the same for the same outcomes. Raises OutcomesUnusable."""
    if len(outcomes.ids) < FEWEST_ROWS:
        raise OutcomesUnusable(f"{len(outcomes.ids)} rows: fewer than {FEWEST_ROWS} teach nothing")
    readings = [read(prompt, int(size)) for prompt, size in zip(outcomes.prompts, outcomes.in_tokens, strict=True)]
    head, tasks, seen = fit_text(outcomes.ids, readings, outcomes.tasks, most_terms=most_terms)
    part = folds(outcomes.ids, _FOLDS, "second")
    fitted = fit_residual(seen, outcomes.quality, part)
    estimator = Estimator(tasks, outcomes.models, head, fitted.table, fitted.residual, fitted.slopes, fitted.offsets)
    cost = _cost(outcomes, seen)
    reference = int(np.nanmean(outcomes.quality, axis=0).argmax())
    alone, escalation, tuned = NOTHING, None, NOTHING
    if not np.isnan(outcomes.quality).any() and not np.isnan(outcomes.usd).any():
        expected = _expected(outcomes, seen, part)
        alone = _alone(outcomes, fitted.foretold, expected, reference)
        escalation, tuned = _escalation(outcomes, seen, fitted.foretold, expected, reference, alone)
    evaluation = Evaluation(
        rows=len(outcomes.ids),
        explained=explained(fitted.foretold, outcomes.quality),
        auc=auc(fitted.foretold, outcomes.quality),
        ece=debiased_ece(fitted.foretold, outcomes.quality),
        saving=tuned.saving,
        change=tuned.change,
    )
    return Artefact(estimator, cost, outcomes.models[reference], alone.rate, escalation, evaluation, dict(provenance))


def _cost(outcomes: Outcomes, seen: Read) -> CostModel:
    """Of columns whose cost is not known everywhere nothing is foretold: zero."""
    usd = np.where(np.isnan(outcomes.usd).any(axis=0), 0.0, outcomes.usd)
    return fit_cost(outcomes.in_tokens, seen.truth, usd)


def _expected(outcomes: Outcomes, seen: Read, part: npt.NDArray[np.int64]) -> Floats:
    """USD that is foretold of each row by cost models that had not seen it."""
    found = np.zeros(outcomes.usd.shape)
    for fold in range(_FOLDS):
        inside, outside = part != fold, part == fold
        model = fit_cost(outcomes.in_tokens[inside], seen.truth[inside], outcomes.usd[inside])
        found[outside] = model.expected(outcomes.in_tokens[outside, None], seen.tasks[outside])
    return found


def _alone(outcomes: Outcomes, foretold: Floats, expected: Floats, reference: int) -> Tuned:
    """The rate at which single models are best chosen."""
    row = np.arange(len(foretold))

    def chosen(rate: float) -> tuple[Floats, Floats]:
        places = np.array([choose(quality, usd, rate) for quality, usd in zip(foretold, expected, strict=True)])
        return outcomes.quality[row, places], outcomes.usd[row, places]

    usd = outcomes.usd[:, reference]
    return tune(rates_for(float(usd.mean())), chosen, outcomes.quality[:, reference], usd)


def _escalation(
    outcomes: Outcomes, seen: Read, foretold: Floats, expected: Floats, reference: int, alone: Tuned
) -> tuple[Escalation | None, Tuned]:
    if outcomes.answers is None or outcomes.out_tokens is None or len(outcomes.models) < 3:
        return None, alone
    played = Played(
        ids=outcomes.ids,
        foretold=foretold,
        expected=expected,
        tasks=seen.tasks,
        truth=seen.truth,
        in_tokens=outcomes.in_tokens,
        options=np.expm1(seen.cheap[:, _OPTIONS]).round(),
        answers=outcomes.answers,
        out_tokens=np.nan_to_num(outcomes.out_tokens),
        quality=outcomes.quality,
        usd=outcomes.usd,
    )
    return find_escalation(played, outcomes.models, reference, alone)
