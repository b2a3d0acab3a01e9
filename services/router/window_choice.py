"""Which window a long conversation should have: cut for the model that was planned, or whole on a larger one. Pure.

    the planned model    what is cut, the warm prefix read from the provider's cache, what the cut made cold paid afresh
    a larger window      everything, read from the cache as far as the conversation's last request had it

The price of the prefix that a cut loses is thus in the first line: tokens that would have been warm are paid as fresh.
Prices that are not known are not compared: then the planned model stays. A model of a lower tier never takes the place
of a planned one for its price; where nothing fits the planned window, any larger one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.catalog import list_price
from services.router.plan import Candidate, Plan


@dataclass(frozen=True, slots=True)
class Cut:
    """What fitting said: tokens before and after (estimates), and how many of each are warm at the provider."""

    before: int
    after: int
    warm: int
    warm_uncut: int


def with_window(plan: Plan, cut: Cut | None, output_tokens: int) -> Plan:
    """The plan, the model with the larger window in front where it is the better one.

    `cut`: of the first candidate; None: not even what must stay fits its window. `output_tokens`: of a likely answer.
    """
    planned, larger = plan.candidates[0], _larger(plan)
    if cut is None:
        return _behind(plan, larger[0], "larger window: nothing fits the planned one") if larger else plan
    if cut.after >= cut.before:
        return plan
    asked = _price(planned, cut.after, cut.warm, output_tokens)
    whole = [
        (price, candidate)
        for candidate in larger
        if candidate.model.tier >= planned.model.tier
        and candidate.model.window_tokens >= cut.before + output_tokens
        and (price := _price(candidate, cut.before, cut.warm_uncut, output_tokens)) is not None
    ]
    if asked is None or not whole:
        return plan
    price, best = min(whole, key=lambda pair: pair[0])
    if price >= asked:
        return plan
    return _in_front(plan, best, f"larger window: whole for {price} nanousd, cut for {asked}")


def _larger(plan: Plan) -> Sequence[Candidate]:
    """Those with a larger window than the first, in the order of the plan."""
    window = plan.candidates[0].model.window_tokens
    known = [*plan.candidates[1:], *((plan.larger_window,) if plan.larger_window else ())]
    return [candidate for candidate in known if candidate.model.window_tokens > window]


def _price(candidate: Candidate, tokens: int, warm: int, output_tokens: int) -> int | None:
    warm = min(warm, tokens)
    usage = chat_pb2.Usage(
        input_uncached_tokens=tokens - warm, input_cache_read_tokens=warm, output_tokens=output_tokens
    )
    cost = list_price(candidate.model, usage)
    return cost.nanousd if cost.priced else None


def _in_front(plan: Plan, chosen: Candidate, why: str) -> Plan:
    others = tuple(candidate for candidate in plan.candidates if candidate is not chosen)
    larger = None if plan.larger_window is chosen else plan.larger_window
    first = chosen._replace(reason=_with(chosen, why))
    return replace(plan, candidates=(first, *others), larger_window=larger)


def _behind(plan: Plan, chosen: Candidate, why: str) -> Plan:
    """The same, without those whose window is no larger than that of the first: the conversation does not fit them."""
    window = plan.candidates[0].model.window_tokens
    small = [each for each in plan.candidates if each.model.window_tokens <= window]
    dropped = tuple(each._replace(dropped=decision_pb2.Candidate.DROPPED_WINDOW) for each in small)
    kept = tuple(each for each in plan.candidates if each.model.window_tokens > window)
    return _in_front(replace(plan, candidates=kept, dropped=(*plan.dropped, *dropped)), chosen, why)


def _with(chosen: Candidate, why: str) -> str:
    return why if chosen.reason == "larger window" else f"{chosen.reason}; {why}"
