"""Finds a prompt's task by its meaning, where neither the caller nor a rule has said it; the vector is the cache's."""

from __future__ import annotations

import numpy as np

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import decision_pb2
from services.chassis.errors import ServiceError
from services.router.admit import Ask
from services.router.peers import CachePeer
from services.router.record import Record
from services.router.tasks.classify import TASK_TYPES
from services.router.tasks.example_keeper import ExampleKeeper

_SECONDS = 0.25
_SOURCE = decision_pb2.TaskSource


class TaskFinder:
    """Refines what words alone have said. Without a vector, or with one of another model, that stands."""

    def __init__(self, examples: ExampleKeeper, cache: CachePeer) -> None:
        self._examples = examples
        self._cache = cache

    def wants_vector(self, ask: Ask, source: decision_pb2.TaskSource.ValueType) -> bool:
        """Whether a vector of the prompt would be of use."""
        if ask.model or source == _SOURCE.TASK_SOURCE_HINT:
            return False
        return source == _SOURCE.TASK_SOURCE_DEFAULT or ask.policy.row.strategy == "semantic"

    async def refine(self, ask: Ask, record: Record) -> None:
        """Find the task anew where its meaning says more than its words."""
        if not self.wants_vector(ask, record.decision.task_source):
            return
        vector = record.embedding
        if not vector.values and ask.policy.row.strategy == "semantic":
            vector = await self._embedded(ask.prompt)
        examples = self._examples.of(vector.model_hash)
        if not vector.values or examples is None:
            return
        known = ask.policy.row.tasks or TASK_TYPES
        task = examples.task(ask.prompt, np.array(vector.values, np.float32), known)
        if task is not None:
            record.found_task(task, _SOURCE.TASK_SOURCE_SEMANTIC)

    async def _embedded(self, prompt: str) -> cache_pb.Vector:
        try:
            response = await self._cache.embed_texts(cache_pb.EmbedTextsRequest(texts=[prompt]), _SECONDS)
        except ServiceError:
            return cache_pb.Vector()
        return response.embeddings[0] if response.embeddings else cache_pb.Vector()
