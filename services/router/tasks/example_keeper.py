"""The labelled examples of tasks: those that ship, with their vectors, and the operator's, which the cache embeds."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from services.chassis.errors import ServiceError
from services.chassis.logs import Log
from services.chassis.settings import StartError, decode, read_toml
from services.router.peers import CachePeer
from services.router.tasks.examples import Floats, TaskExamples

_SHIPPED = "examples.npz"
_BATCH, _SECONDS, _PAUSE_SECONDS, _TRIES = 64, 10.0, 2.0, 30
_LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class ExamplesFile:
    """The operator's file: task type -> prompts. Tasks that ship get them in addition."""

    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for task, texts in self.examples.items():
            if not texts or any(not 0 < len(text) <= _LONGEST for text in texts):
                raise ValueError(f"the examples of {task} must be texts of 1 to {_LONGEST} characters")


@dataclass(frozen=True, slots=True)
class Shipped:
    """What tools/task_examples.py made. `vectors` [n, dimension]."""

    model_hash: str
    texts: tuple[str, ...]
    vectors: Floats
    labels: tuple[str, ...]
    margin: float


def shipped() -> Shipped:
    """The examples of this package."""
    data = resources.files("services.router.tasks").joinpath(_SHIPPED).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Shipped(
            str(arrays["model_hash"]),
            tuple(str(text) for text in arrays["texts"].tolist()),
            arrays["vectors"].astype(np.float32),
            tuple(str(label) for label in arrays["labels"].tolist()),
            float(arrays["margin"]),
        )


def read_examples(path: Path | None) -> Mapping[str, tuple[str, ...]]:
    """The operator's examples. Raises StartError."""
    if path is None:
        return {}
    problems: list[str] = []
    file: ExamplesFile = decode(ExamplesFile, read_toml(path), str(path), problems)
    if problems:
        raise StartError("\n".join(problems))
    return file.examples


class ExampleKeeper:
    """Holds the examples. The operator's join when the cache has made their vectors."""

    def __init__(self, own: Mapping[str, tuple[str, ...]], cache: CachePeer, log: Log) -> None:
        self._own = [(task, text) for task, texts in own.items() for text in texts]
        self._cache = cache
        self._log = log
        self._base = shipped()
        self._examples = self._with([])
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have the vectors of the operator's examples made."""
        if self._own:
            self._task = asyncio.create_task(self._join(), name="task-examples")

    async def stop(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def of(self, model_hash: str) -> TaskExamples | None:
        """The examples, as vectors of that model; None: there are none."""
        return self._examples if model_hash == self._base.model_hash else None

    async def _join(self) -> None:
        for _ in range(_TRIES):
            try:
                starts = range(0, len(self._own), _BATCH)
                vectors = [vector for start in starts for vector in await self._embedded(start)]
            except ServiceError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            made = [
                (task, text, list(vector.values))
                for (task, text), vector in zip(self._own, vectors, strict=True)
                if vector.model_hash == self._base.model_hash and vector.values
            ]
            self._examples = self._with(made)
            self._log.info("task_examples", own=len(made), without_vector=len(vectors) - len(made))
            return
        self._log.warning("task_examples_without_cache", own=len(self._own))

    async def _embedded(self, start: int) -> list[cache_pb.Vector]:
        texts = [text for _, text in self._own[start : start + _BATCH]]
        response = await self._cache.embed_texts(cache_pb.EmbedTextsRequest(texts=texts), _SECONDS)
        return list(response.embeddings)

    def _with(self, own: list[tuple[str, str, list[float]]]) -> TaskExamples:
        """The shipped examples and these: task, text and vector of each."""
        base = self._base
        vectors = np.vstack([base.vectors, *(np.array([vector], np.float32) for _, _, vector in own)])
        texts, labels = (*base.texts, *(text for _, text, _ in own)), (*base.labels, *(task for task, _, _ in own))
        return TaskExamples(texts, vectors, labels, margin=base.margin)
