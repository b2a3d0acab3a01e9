"""Vectors of texts: those that are known at once, a few made on the spot, many in the background."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np

from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.context.search import TurnIndex
from services.embedding.embedder import Embedder, EmbedderDamaged, Vector

# About what the model reads; a longer text is the mean of its passages, up to four of them.
_PASSAGE_CHARACTERS, _MOST_PASSAGES = 800, 4


class Vectors:
    """Makes and remembers vectors. Threads may share it.

    `load` makes the embedder at its first use, which takes a third of a second; where it cannot, there are no vectors.
    """

    def __init__(self, load: Callable[[], Embedder], *, most: int) -> None:
        self._load = load
        self._most = most
        self._known: OrderedDict[bytes, Vector] = OrderedDict()
        self._using = Lock()
        self._loading = Lock()
        self._embedder: Embedder | None = None
        self._damaged = False

    def fill(self, index: TurnIndex, *, make: int) -> list[str]:
        """Give the index the vectors that are known, and make up to `make`; hands back texts that still have none."""
        missing: list[tuple[int, str]] = []
        for place in index.without_vector():
            text = index.turns[place].line
            vector = self.known(text)
            if vector is None:
                missing.append((place, text))
            else:
                index.put_vector(place, vector)
        if len(missing) > make:
            return [text for _, text in missing]
        for place, text in missing:
            vector = self.make(text)
            if vector is None:
                return [text for _, text in missing]
            index.put_vector(place, vector)
        return []

    def known(self, text: str) -> Vector | None:
        """The vector, if it was made before."""
        with self._using:
            return self._known.get(_key(text))

    def make(self, text: str) -> Vector | None:
        """The vector of a text of any length; None where there is no embedder. Blocks for milliseconds."""
        found = self.known(text)
        if found is not None:
            return found
        embedder = self.embedder()
        if embedder is None:
            return None
        vector = _embedded(embedder, text)
        with self._using:
            self._known[_key(text)] = vector
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return vector

    def embedder(self) -> Embedder | None:
        """The embedder, loaded; None where its files are damaged."""
        with self._loading:
            if self._embedder is None and not self._damaged:
                try:
                    self._embedder = self._load()
                except EmbedderDamaged:
                    self._damaged = True
            return self._embedder


class Background:
    """Makes vectors behind the answers, one text after the other, in a thread of its own. Bounded: more is dropped."""

    def __init__(self, vectors: Vectors, log: Log, *, waiting: int) -> None:
        self._vectors = vectors
        self._log = log
        self._executor = Executor(threads=1, waiting=1)
        self._queue: asyncio.Queue[str] = asyncio.Queue(maxsize=waiting)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to work."""
        self._task = asyncio.create_task(self._work(), name="context-vectors")

    async def stop(self) -> None:
        """Stop; what waits is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._executor.close()

    def add(self, texts: Sequence[str]) -> None:
        """Make these, the newest texts first: they are the likeliest to be asked for again."""
        for text in reversed(texts):
            if self._queue.full():
                return
            self._queue.put_nowait(text)

    async def settled(self) -> None:
        """Wait until nothing waits."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
            try:
                await self._executor.run(self._make, batch)
            except Exception as failure:
                self._log.error("vectors_failed", failure)
            finally:
                for _ in batch:
                    self._queue.task_done()

    def _make(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._vectors.make(text)


# A hop to the thread costs a fraction of one text.
_BATCH = 16


def _embedded(embedder: Embedder, text: str) -> Vector:
    """The text's vector; where it is longer than the model reads, the mean of its passages' vectors."""
    whole = embedder.embed(text)
    if whole is not None:
        return whole
    starts = range(0, min(len(text), _PASSAGE_CHARACTERS * _MOST_PASSAGES), _PASSAGE_CHARACTERS)
    passages = [embedder.embed(text[at : at + _PASSAGE_CHARACTERS]) for at in starts]
    known = [vector for vector in passages if vector is not None]
    if not known:  # signs that are many tokens each
        return np.zeros(embedder.dimension, np.float32)
    mean = np.mean(known, axis=0)
    unit: Vector = (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float32)
    return unit


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
