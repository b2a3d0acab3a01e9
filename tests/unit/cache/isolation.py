"""Look-ups that try to get somebody else's answer: texts that are equal, in scopes that differ in one part."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.embedding import Model
from services.cache.verifier import Verifier
from services.embedding.hashing import HashingEmbedder
from services.embedding.shared import word_vectors
from tests.unit.cache.samples import reply
from tests.unit.cache.test_verifier import two_trees

Ask = Callable[[str, Any], Coroutine[Any, Any, Any]]
TEXTS = [f"How do I {verb} the {thing}?" for verb in ("open", "mend", "paint") for thing in ("door", "boat", "gate")]


def any_near_text_serves() -> Model:
    """A hashing embedder, and a verifier that agrees to everything: only scopes keep answers apart."""
    trees = two_trees()
    agrees = Verifier(trees.features, trees.limits, trees.keeps, trees.values, trees.budgets, trees.thresholds * 0)
    return Model(HashingEmbedder(), word_vectors(), agrees)


def adversary(chance: random.Random) -> tuple[str, pb.Query]:
    """A tenant, and a query of few texts whose scope differs from others in some of its parts."""
    query = pb.Query(
        model=chance.choice(("", "m1", "m2")),
        policy_hash=chance.choice(("", "p1")),
        task_hint=chance.choice(("", "t1")),
        region_tags=chance.choice(([], ["eu"], ["us"])),
        simulated=chance.random() < 0.3,
    )
    conversation = query.conversation
    if system := chance.choice(("", "Be brief.", "Be brief. ", "Bé brief.")):
        conversation.messages.add(role=chat_pb2.ROLE_SYSTEM).parts.add(text=system)
    if chance.random() < 0.3:
        conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add(text=chance.choice(TEXTS[:2]))
        conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT).parts.add(text=chance.choice(("Yes.", "No.")))
    conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add(text=chance.choice(TEXTS))
    if chance.random() < 0.5:
        conversation.sampling.temperature = chance.choice((0.0, 0.2))
    if chance.random() < 0.3:
        conversation.sampling.max_output_tokens = chance.choice((10, 20))
    return chance.choice(("a", "b", "ab", "a ")), query


def scope_of(tenant: str, query: pb.Query) -> bytes:
    """What must be equal for an answer to be the asker's own: all but the last text."""
    bare = pb.Query()
    bare.CopyFrom(query)
    bare.conversation.messages[-1].parts[0].text = ""
    return tenant.encode() + b"\0" + bare.SerializeToString(deterministic=True)


async def attack(look_ups: int, ask: Ask, store: Ask, *, seed: int, stores: int = 2_000) -> dict[str, int]:
    """Stores answers that name their scope, then looks up; counts hits and those of a foreign scope."""
    chance = random.Random(seed)
    for _ in range(stores):
        tenant, query = adversary(chance)
        answer = reply(scope_of(tenant, query).hex())
        await store(tenant, pb.StoreRequest(query=query, reply=answer))
    return await look_around(look_ups, ask, chance)


async def look_around(look_ups: int, ask: Ask, chance: random.Random) -> dict[str, int]:
    """Only the look-ups."""
    found = {"hits": 0, "semantic": 0, "foreign": 0}
    for _ in range(look_ups):
        tenant, query = adversary(chance)
        response = await ask(tenant, pb.LookUpRequest(query=query))
        if response.outcome in (pb.CACHE_OUTCOME_EXACT_HIT, pb.CACHE_OUTCOME_SEMANTIC_HIT):
            found["hits"] += 1
            found["semantic"] += response.outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT
            found["foreign"] += response.reply.message.parts[0].text != scope_of(tenant, query).hex()
    return found
