"""The journey of one Fit: check -> count -> split into units -> choose -> count what was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import ContextTooLong
from services.context.counting import Counting
from services.context.metrics import ContextMetrics
from services.context.tokens import Counted
from services.context.units import Unit, split
from services.context.validate import check_fit
from services.context.window import Choice, choose

_DEFAULT_OUTPUT_TOKENS = 4_096


class Fitter:
    """Makes conversations fit. Keeps nothing between two of them."""

    def __init__(self, counting: Counting, metrics: ContextMetrics) -> None:
        self._counting = counting
        self._metrics = metrics

    async def fit(self, request: pb.FitRequest) -> pb.FitResponse:
        """What the model should see. Raises ContextTooLong when what must stay does not fit."""
        check_fit(request)
        counted = await self._counting.count(request.conversation, request.model)
        reserved = reserved_tokens(request)
        budget = request.window_tokens - reserved
        units = split(request.conversation.messages)
        sizes = [_size(unit, counted) for unit in units]
        choices = choose(units, sizes, budget - counted.fixed.upper_bound)
        kept = [index for choice in choices if choice.kept for index in choice.unit.messages]
        before, after = counted.total(), counted.total(kept)
        if after.upper_bound > budget:
            self._metrics.fits.labels("too_long").inc()
            # With the answer's share, so that the figure compares to the window.
            raise ContextTooLong(
                tokens=str(after.upper_bound + reserved), window=str(request.window_tokens), model=request.model
            )
        self._metrics.fits.labels("whole" if after == before else "cut").inc()
        self._metrics.cut_tokens.inc(before.upper_bound - after.upper_bound)
        return pb.FitResponse(
            messages=[request.conversation.messages[index] for index in kept],
            before=counted.as_message(before),
            after=counted.as_message(after),
            budget_tokens=budget,
            decisions=_decisions(choices, sizes),
            policy=pb.FIT_POLICY_WINDOW,
        )


def reserved_tokens(request: pb.FitRequest) -> int:
    """What is kept free for the answer: as asked, else the most it may have, but then at most a quarter of the window.

    The quarter also holds for a very large max_output_tokens: models clamp it, so it must not empty the window.
    """
    if request.reserved_output_tokens:
        return request.reserved_output_tokens
    return min(request.conversation.sampling.max_output_tokens or _DEFAULT_OUTPUT_TOKENS, request.window_tokens // 4)


def _size(unit: Unit, counted: Counted) -> int:
    return sum(counted.messages[index].upper_bound for index in unit.messages)


def _decisions(choices: Sequence[Choice], sizes: Sequence[int]) -> list[pb.UnitDecision]:
    return [
        pb.UnitDecision(
            first_message=choice.unit.first,
            messages=choice.unit.length,
            tokens=size,
            kept=choice.kept,
            reason=choice.reason,
        )
        for choice, size in zip(choices, sizes, strict=True)
    ]
