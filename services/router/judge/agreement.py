"""Which of several answers say the same, and what their agreement is worth. Pure.

Answers are compared in a short form: the choice, the number, the value. Where each model's prior is right and wrong
answers scatter evenly over the alternatives, the posterior of a group of equal answers follows from counting; what
is wrong with that (models err alike) is learned on top of it (learned.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# How many ways there are to be wrong where the prompt lists no options; fewer than these are not believed.
_OPEN, _FEWEST = 10.0, 3.0
# In log-odds: an answer that could not be found in the text is as bad as this.
_MISSING = 3.0
_LONGEST = 400
# A chosen option: "B", "(B)."
CHOICE = re.compile(r"[(\[]?([A-J])[)\]]?[.:)]?")


@dataclass(frozen=True, slots=True)
class Answer:
    """`short`: the short form, None where the text has none. `tokens` of output."""

    short: str | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as a verifier sees it: the log-odds of the priors, and the answers so far, in the order asked.

    `reference`: the prior of the model that would be asked in the end; `mean`: that of all models; `options`: how many
    the prompt lists, 0 for none; `tasks`: the predictor's probabilities. `models`: those that answered, then the last.
    """

    models: Sequence[str]
    priors: Sequence[float]
    answers: Sequence[Answer]
    reference: float
    mean: float
    options: float
    in_tokens: int
    tasks: Floats


@dataclass(frozen=True, slots=True)
class Group:
    """Of each row: `leader` [n], the place of an answer of the likeliest group; `posterior` and `second` [n].

    `members` [n, k] says who agrees with the leader, `different` [n] how many answers there are, `lost` [n] whether the
    leader itself has none.
    """

    leader: npt.NDArray[np.int64]
    posterior: Floats
    second: Floats
    members: Bools
    different: npt.NDArray[np.int64]
    lost: Bools


def canonical(answer: str | None) -> str | None:
    """The short form of an extracted answer: numbers by value, a choice without its brackets, everything else in lower
    case; None stays None.
    """
    if answer is None:
        return None
    text = answer.strip()
    chosen = CHOICE.fullmatch(text)
    text = (chosen[1] if chosen else text).lower()
    try:
        return repr(round(float(text.replace(",", "").rstrip(".%").lstrip("$")), 4) + 0.0)
    except ValueError:
        return text[:_LONGEST] or None


def equal(answers: Sequence[Sequence[str | None]]) -> tuple[Bools, Bools]:
    """(same [n, k, k], missing [n, k]) of rows of canonical answers; a missing one equals itself alone."""
    size = len(answers[0]) if answers else 0
    codes = np.empty((len(answers), size), np.int64)
    for row, said in enumerate(answers):
        seen: dict[str, int] = {}
        codes[row] = [-1 - place if one is None else seen.setdefault(one, len(seen)) for place, one in enumerate(said)]
    return codes[:, :, None] == codes[:, None, :], codes < 0


def grouped(priors: Floats, same: Bools, missing: Bools, options: Floats) -> Group:
    """The likeliest group of each row. `priors` [n, k] are log-odds, `options` [n] as the prompt lists them."""
    rows, size = priors.shape
    wrong_ways = np.maximum(_FEWEST, np.where(options > 1, options - 1, _OPEN))
    # Log-likelihood against "nobody is right": each member adds its odds and the rarity of that wrong answer.
    scores = (same * (priors + np.log(wrong_ways)[:, None])[:, None, :]).sum(axis=2) - _MISSING * missing
    first = np.stack([~same[:, place, :place].any(axis=1) for place in range(size)], axis=1)
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior = raised / ((raised * first).sum(axis=1) + np.exp(-scores.max(axis=1)))[:, None]
    leader, row = posterior.argmax(axis=1), np.arange(rows)
    ranked = np.sort(posterior * first, axis=1)
    return Group(
        leader,
        posterior[row, leader],
        ranked[:, -2] if size > 1 else np.zeros(rows),
        same[row, leader],
        first.sum(axis=1),
        missing[row, leader],
    )
