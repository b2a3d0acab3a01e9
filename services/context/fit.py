"""The journey of one Fit: check -> count -> split into units -> cut and fetch -> recall -> respond."""

from __future__ import annotations

from dataclasses import replace

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis import call_context
from services.chassis.errors import ContextTooLong
from services.context.block import memory_block
from services.context.counting import Counting
from services.context.cut import Asked, Cut, Cutter, question_of
from services.context.cut_turns import CutTurns
from services.context.memory import Memory
from services.context.metrics import ContextMetrics
from services.context.recap import recap
from services.context.respond import Block, cut_units, response_of
from services.context.retrieve import Fetched
from services.context.summarise import Summaries
from services.context.tokens import TokenCounter
from services.context.turns import text_of
from services.context.units import split_shapes
from services.context.validate import check_fit
from services.context.vectors import Background
from services.context.window import cut

_DEFAULT_OUTPUT_TOKENS = 4_096
# Of the budget: the most that remembered items or summaries may take.
_MEMORY_SHARE, _SUMMARY_SHARE = 0.1, 0.15
_MOST_REMEMBERED = 32


class Fitter:
    """Makes conversations fit. What it keeps between two of them only saves work."""

    def __init__(
        self,
        counting: Counting,
        cutter: Cutter,
        background: Background,
        metrics: ContextMetrics,
        *,
        counter: TokenCounter,
        memory: Memory,
        cut_turns: CutTurns,
        summaries: Summaries,
        policy: pb.FitPolicy.ValueType,
    ) -> None:
        self._counting = counting
        self._cutter = cutter
        self._background = background
        self._metrics = metrics
        self._counter = counter
        self._memory = memory
        self._cut_turns = cut_turns
        self._summaries = summaries
        self._policy = policy

    async def fit(self, request: pb.FitRequest) -> pb.FitResponse:
        """What the model should see. Raises ContextTooLong when what must stay does not fit."""
        check_fit(request)
        reserved = reserved_tokens(request)
        budget = request.window_tokens - reserved
        asked = await self._asked(request, budget)
        share = _share(asked, budget)
        seen, done = await self._cut(asked, share)
        fetched = done.fetched
        if fetched.window.used > asked.room:
            self._metrics.fits.labels("too_long").inc()
            # With the answer's share, so that the figure compares to the window.
            needed = fetched.window.used + asked.counted.fixed.upper_bound + reserved
            raise ContextTooLong(tokens=str(needed), window=str(request.window_tokens), model=request.model)
        share = min(share, asked.room - fetched.window.used - fetched.size.upper_bound)
        blocks, degraded = await self._beside(asked, done, share)
        if fetched.block is not None:
            before = fetched.window.anchor
            blocks.append(Block(pb.Block.KIND_TURNS, fetched.block, fetched.size, before, fetched.places))
        if done.by_words_alone:
            degraded.append(_degradation(chat.Degradation.KIND_DENSE_PENDING))
        is_kept = self._behind(asked, done)
        if done.search_failed or not is_kept:
            degraded.append(_degradation(chat.Degradation.KIND_MEMORY_UNAVAILABLE))
        response = response_of(seen, done, blocks, budget, degraded)
        self._metrics.fits.labels("whole" if fetched.window.whole else "cut").inc()
        self._metrics.cut_tokens.inc(max(0, response.before.upper_bound - response.after.upper_bound))
        return response

    async def _asked(self, request: pb.FitRequest, budget: int) -> Asked:
        counted = await self._counting.count(request.conversation, request.model, request.wire_format)
        units = split_shapes(counted.shapes)
        bounds = [tokens.upper_bound for tokens in counted.messages]
        sizes = [
            bounds[unit.first] if unit.length == 1 else sum(bounds[unit.first : unit.first + unit.length])
            for unit in units
        ]
        tenant = call_context.current().caller.tenant
        return Asked(
            request, request.policy or self._policy, tenant, counted, units, sizes, budget - counted.fixed.upper_bound
        )

    async def _cut(self, asked: Asked, share: int) -> tuple[Asked, Cut]:
        """What stays, and the room that it was given: the share of memory or summaries is kept free whatever they take,
        so that they do not move the window."""
        if sum(asked.sizes) <= asked.room:
            return asked, Cut(Fetched(cut(asked.units, asked.sizes, asked.room)), ())
        # What must stay may take of the share, too; then less stands beside it.
        less = replace(asked, room=asked.room - share)
        return less, await self._counting.off_loop(self._cutter.cut, less)

    async def _beside(self, asked: Asked, done: Cut, share: int) -> tuple[list[Block], list[chat.Degradation]]:
        """Summaries or remembered items, within `share` tokens."""
        if asked.policy != pb.FIT_POLICY_SUMMARISE:
            return await self._remembered(asked, done, share)
        if done.fetched.window.whole:
            return [], []
        found = await recap(asked, done, self._summaries, self._counter, share)
        degraded = [] if found.is_complete else [_degradation(chat.Degradation.KIND_SUMMARY_PENDING)]
        return [found.block] if found.block else [], degraded

    async def _remembered(self, asked: Asked, done: Cut, most: int) -> tuple[list[Block], list[chat.Degradation]]:
        """The block of what Remember has kept and the question needs, where the conversation has a name."""
        request, window = asked.request, done.fetched.window
        question = question_of(asked.units[window.anchor], request.conversation.messages)
        if not most or not question:
            return [], []
        found = await self._memory.recall(asked.tenant, request.conversation_id, question, _MOST_REMEMBERED)
        degraded = [_degradation(found.degraded)] if found.degraded else []
        seen = "\n".join(map(text_of, request.conversation.messages))
        ruler = self._counter.ruler(request.model, request.wire_format)
        chosen = [item for item, _ in found.items if item.text not in seen]
        while chosen:
            block = memory_block([item.text for item in chosen])
            size = ruler.message(block)
            if size.upper_bound <= most:
                ids = tuple(item.id for item in chosen)
                return [Block(pb.Block.KIND_MEMORY, block, size, window.anchor, memory_ids=ids)], degraded
            chosen.pop()
        return [], degraded

    def _behind(self, asked: Asked, done: Cut) -> bool:
        """Work that the answer need not wait for; false where what was cut cannot be kept."""
        self._background.add(done.unembedded)
        if done.links:
            self._cut_turns.keep(asked.tenant, cut_units(asked, done), asked.request.conversation.messages)
        return not self._cut_turns.is_failing


def reserved_tokens(request: pb.FitRequest) -> int:
    """What is kept free for the answer: as asked, else the most it may have, but then at most a quarter of the window.

    The quarter also holds for a very large max_output_tokens: models clamp it, so it must not empty the window.
    """
    if request.reserved_output_tokens:
        return request.reserved_output_tokens
    return min(request.conversation.sampling.max_output_tokens or _DEFAULT_OUTPUT_TOKENS, request.window_tokens // 4)


def _share(asked: Asked, budget: int) -> int:
    """Tokens for what stands beside the turns; 0 where nobody asks for it."""
    if asked.policy == pb.FIT_POLICY_SUMMARISE:
        return int(budget * _SUMMARY_SHARE)
    wanted = asked.request.conversation_id and asked.policy != pb.FIT_POLICY_WINDOW
    return int(budget * _MEMORY_SHARE) if wanted else 0


def _degradation(kind: chat.Degradation.Kind.ValueType) -> chat.Degradation:
    return chat.Degradation(kind=kind, subject="memory")
