"""Which turns a summary stands for: a tree over a conversation that only ever grows at its end. Pure.

    level 0   a leaf: consecutive units whose words together stay below a bound; a larger unit is a leaf of its own
    level n   four neighbours of level n - 1

Where leaves end depends on the words before them alone, so the same conversation has the same leaves at every request.
What is shown of what was cut are the largest nodes that lie in it as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from omnisphere.chat.v1 import chat_pb2 as chat

LEAF_BYTES = 6_000
FAN_IN = 4
_OPEN, _CLOSE = "<summary_of_earlier_turns>", "</summary_of_earlier_turns>"


@dataclass(frozen=True, slots=True)
class Node:
    """The units from `first` up to before `end`; `key` stands for their content and all before them."""

    level: int
    first: int
    end: int
    key: str


def leaves(sizes: Sequence[int], ends: Sequence[bytes]) -> list[Node]:
    """The complete leaves of units that have `sizes` bytes of words; `ends`: the hash of the start that each ends."""
    found: list[Node] = []
    first = held = 0
    for place, size in enumerate(sizes):
        if place > first and held + size > LEAF_BYTES:
            found.append(Node(0, first, place, _key(0, ends[first], ends[place - 1])))
            first, held = place, 0
        held += size
    return found


def parents(nodes: Sequence[Node]) -> list[Node]:
    """The complete nodes of the next level."""
    groups = [nodes[at : at + FAN_IN] for at in range(0, len(nodes) - FAN_IN + 1, FAN_IN)]
    return [
        Node(g[0].level + 1, g[0].first, g[-1].end, _key(g[0].level + 1, *(n.key.encode() for n in g))) for g in groups
    ]


def _above(group: Sequence[Node]) -> Node:
    level = group[0].level + 1
    return Node(level, group[0].first, group[-1].end, _key(level, *(node.key.encode() for node in group)))


def tree(sizes: Sequence[int], ends: Sequence[bytes]) -> list[list[Node]]:
    """All complete nodes, by level."""
    levels = [leaves(sizes, ends)]
    while len(levels[-1]) >= FAN_IN:
        levels.append(parents(levels[-1]))
    return levels


def cover(levels: Sequence[Sequence[Node]], end: int) -> list[Node]:
    """The fewest nodes that lie before unit `end` as a whole, in order."""
    found: list[Node] = []
    at = 0
    for level in reversed(levels):
        for node in level:
            if node.first == at and node.end <= end:
                found.append(node)
                at = node.end
    return found


def children(node: Node, levels: Sequence[Sequence[Node]]) -> list[Node]:
    """The nodes that a node sums up; none for a leaf."""
    return [below for below in levels[node.level - 1] if node.first <= below.first < node.end] if node.level else []


def summary_block(texts: Sequence[str]) -> chat.Message:
    """Summaries, oldest first, as one message."""
    text = "\n\n".join((_OPEN, *texts, _CLOSE))
    return chat.Message(role=chat.ROLE_USER, parts=[chat.Part(text=text)])


def _key(level: int, *parts: bytes) -> str:
    digest = blake2b(digest_size=12)
    digest.update(bytes([level]))
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()
