"""Texts to vectors, away from the event loop, the newest remembered.

The model is loaded after the start, in the background: a cache that answers exactly need not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from services.cache.verifier import Verifier, VerifierUnusable
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.embedding.embedder import Embedder, EmbedderDamaged, Vector
from services.embedding.words import WordVectors

_MOST_REMEMBERED = 4_096
_MOST_REMEMBERED_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Model:
    """What the semantic level stands on."""

    embedder: Embedder
    words: WordVectors
    verifier: Verifier


class Embedding:
    """Vectors of texts. Without a model (it is off, or its files are damaged) there are none."""

    def __init__(self, load: Callable[[], Model] | None, executor: Executor, log: Log) -> None:
        self._load = load
        self._executor = executor
        self._log = log
        self._model: asyncio.Future[Model | None] | None = None
        # Least recently used first.
        self._remembered: OrderedDict[str, Vector | None] = OrderedDict()

    def start(self) -> None:
        """Begin to load."""
        if self._load is not None and self._model is None:
            self._model = asyncio.ensure_future(self._loaded(self._load))

    async def model(self) -> Model | None:
        """The model, when it is loaded; None where there is none."""
        return None if self._model is None else await asyncio.shield(self._model)

    async def vector(self, text: str) -> Vector | None:
        """The text's vector; None where it is too long, or there is no model. Raises Overloaded."""
        if text in self._remembered:
            self._remembered.move_to_end(text)
            return self._remembered[text]
        model = await self.model()
        if model is None:
            return None
        vector = await self._executor.run(model.embedder.embed, text)
        if len(text) <= _MOST_REMEMBERED_CHARACTERS:
            self._remembered[text] = vector
            if len(self._remembered) > _MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return vector

    async def stop(self) -> None:
        """Let go of the threads."""
        if self._model is not None:
            await self._model
        self._executor.close()

    async def _loaded(self, load: Callable[[], Model]) -> Model | None:
        try:
            return await self._executor.run(load)
        except (EmbedderDamaged, VerifierUnusable) as failure:
            self._log.warning("semantic_level_off", cause=str(failure))
            return None
