"""The journey of one Fit: check -> count -> split into units -> cut and fetch -> count what was chosen."""

from __future__ import annotations

from collections.abc import Iterable

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis import call_context
from services.chassis.errors import ContextTooLong
from services.context.counting import Counting
from services.context.cut import Asked, Cut, Cutter, last_spoken, warm_units
from services.context.metrics import ContextMetrics
from services.context.retrieve import Fetched
from services.context.units import split
from services.context.validate import check_fit
from services.context.vectors import Background
from services.context.window import cut

_DEFAULT_OUTPUT_TOKENS = 4_096


class Fitter:
    """Makes conversations fit. What it keeps between two of them only saves work."""

    def __init__(self, counting: Counting, cutter: Cutter, background: Background, metrics: ContextMetrics) -> None:
        self._counting = counting
        self._cutter = cutter
        self._background = background
        self._metrics = metrics

    async def fit(self, request: pb.FitRequest) -> pb.FitResponse:
        """What the model should see. Raises ContextTooLong when what must stay does not fit."""
        check_fit(request)
        counted = await self._counting.count(request.conversation, request.model)
        reserved = reserved_tokens(request)
        budget = request.window_tokens - reserved
        units = split(request.conversation.messages)
        sizes = [sum(counted.messages[index].upper_bound for index in unit.messages) for unit in units]
        room = budget - counted.fixed.upper_bound
        tenant = call_context.current().caller.tenant
        asked = Asked(request, tenant, counted, units, sizes, room)
        if sum(sizes) <= room:
            done = Cut(Fetched(cut(units, sizes, room)), ())
        else:
            done = await self._counting.off_loop(self._cutter.cut, asked)
        if done.fetched.window.used > room:
            self._metrics.fits.labels("too_long").inc()
            needed = done.fetched.window.used + counted.fixed.upper_bound
            # With the answer's share, so that the figure compares to the window.
            raise ContextTooLong(tokens=str(needed + reserved), window=str(request.window_tokens), model=request.model)
        self._background.add(done.unembedded)
        response = _response(asked, done, budget)
        self._metrics.fits.labels("whole" if done.fetched.window.whole else "cut").inc()
        self._metrics.cut_tokens.inc(response.before.upper_bound - response.after.upper_bound)
        return response


def reserved_tokens(request: pb.FitRequest) -> int:
    """What is kept free for the answer: as asked, else the most it may have, but then at most a quarter of the window.

    The quarter also holds for a very large max_output_tokens: models clamp it, so it must not empty the window.
    """
    if request.reserved_output_tokens:
        return request.reserved_output_tokens
    return min(request.conversation.sampling.max_output_tokens or _DEFAULT_OUTPUT_TOKENS, request.window_tokens // 4)


def _response(asked: Asked, done: Cut, budget: int) -> pb.FitResponse:
    counted, window, block = asked.counted, done.fetched.window, done.fetched.block
    given = asked.request.conversation.messages
    kept = [index for at, unit in enumerate(asked.units) if window.keeps(at, unit) for index in unit.messages]
    messages = [given[index] for index in kept]
    after = counted.total(kept)
    response = pb.FitResponse(
        before=counted.as_message(counted.total()),
        budget_tokens=budget,
        decisions=_decisions(asked, done),
        policy=asked.request.policy or pb.FIT_POLICY_RETRIEVE,
        warm_tokens=_warm(asked, warm_units(asked.units, asked.sizes, asked.room, window)),
        warm_tokens_uncut=_warm(asked, range(last_spoken(asked.units))),
    )
    if block is not None:
        place = sum(1 for index in kept if index < asked.units[window.anchor].first)
        messages.insert(place, block)
        after += done.fetched.size
        response.blocks.add(message=place, kind=pb.Block.KIND_TURNS, source_messages=_sources(asked, done.fetched))
    if done.by_words_alone:
        response.degradations.add(kind=chat.Degradation.KIND_DENSE_PENDING, subject="memory")
    response.messages.extend(messages)
    response.after.CopyFrom(counted.as_message(after))
    return response


def _sources(asked: Asked, fetched: Fetched) -> list[int]:
    return [index for place in fetched.places for index in asked.units[place].messages]


def _warm(asked: Asked, places: Iterable[int]) -> int:
    """The estimate of these units; 0 where there is none: then the conversation begins."""
    indexes = [index for place in places for index in asked.units[place].messages]
    return asked.counted.total(indexes).estimate if indexes else 0


def _decisions(asked: Asked, done: Cut) -> list[pb.UnitDecision]:
    window, fetched = done.fetched.window, set(done.fetched.places)
    return [
        pb.UnitDecision(
            first_message=unit.first,
            messages=unit.length,
            tokens=asked.sizes[index],
            kept=index in fetched or window.keeps(index, unit),
            reason=pb.UnitDecision.REASON_RETRIEVED if index in fetched else window.reason(index, unit),
            handle="" if window.keeps(index, unit) else handle_of(done.links[unit.first + unit.length]),
        )
        for index, unit in enumerate(asked.units)
    ]


def handle_of(link: bytes) -> str:
    """What Expand finds a unit by: the hash of the conversation's start that ends with it."""
    return link.hex()
