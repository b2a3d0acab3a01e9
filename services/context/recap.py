"""The block of summaries of the turns that a window has lost, as far as they are made; and a wish for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.cut import Asked, Cut
from services.context.respond import Block
from services.context.summarise import Summaries, Work
from services.context.summary import cover, summary_block, tree
from services.context.tokens import TokenCounter
from services.context.turns import turn_of
from services.context.units import Kind


@dataclass(frozen=True, slots=True)
class Recap:
    """`block` None: there is no summary yet. `is_complete`: everything that was cut, but for the newest, is in it."""

    block: Block | None
    is_complete: bool


async def recap(asked: Asked, done: Cut, summaries: Summaries, counter: TokenCounter, most: int) -> Recap:
    """The summaries of what the window has lost, within `most` tokens; the oldest go where they are too many."""
    start, given = done.fetched.window.start, asked.request.conversation.messages
    cut = asked.units[:start]
    turns = ["" if unit.kind is Kind.INSTRUCTIONS else turn_of(unit, given).line for unit in cut]
    ends = [done.links[unit.first + unit.length] for unit in cut]
    levels = tree([len(line.encode()) for line in turns], ends)
    shown = cover(levels, start)
    every = [node for level in levels for node in level]
    found = await summaries.find(asked.tenant, every)
    missing = [node for node in every if node.key not in found]
    texts = {node.key: "\n".join(turns[node.first : node.end]) for node in missing if node.level == 0}
    if missing:
        summaries.want(Work(asked.tenant, levels, missing, texts))
    nodes = [node for node in shown if node.key in found]
    ruler = counter.ruler(asked.request.model, asked.request.wire_format)
    while nodes:
        message = summary_block([found[node.key] for node in nodes])
        size = ruler.message(message)
        if size.upper_bound <= most:
            places = tuple(place for node in nodes for place in range(node.first, node.end))
            return Recap(
                Block(pb.Block.KIND_SUMMARY, message, size, before=start, places=places), len(nodes) == len(shown)
            )
        nodes = nodes[1:]
    return Recap(None, is_complete=not shown)
