"""Vectors across a restart: as they were, of what is still kept alone, and never from a file that is not ours."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnisphere.cache.v1 import cache_service_pb2 as pb
from services.cache import scopes, snapshot
from services.cache.embedding import Model
from services.cache.faiss_index import ListsIndex
from services.cache.sqlite_storage import SqliteStorage
from services.cache.vector_file import VectorFile
from services.chassis.clock import SystemClock
from services.chassis.logs import Log
from tests.unit.cache.isolation import any_near_text_serves
from tests.unit.cache.samples import Bench, as_tenant_async, query, reply

THINGS = ("door", "boat", "gate", "chair", "fence", "shelf", "roof", "bridge", "wall", "table")
TEXTS = [f"How do I {verb} the old {thing}?" for verb in ("open", "mend", "paint") for thing in THINGS]


@pytest.fixture(scope="module")
def model() -> Model:
    return any_near_text_serves()


class Kept(Bench):
    """A cache that keeps entries and vectors in a folder."""

    def __init__(self, folder: Path, model: Model, **settings: Any) -> None:
        self.out = io.StringIO()
        log = Log("cache", stream=self.out)
        storage = SqliteStorage(folder / "cache.sqlite", log=log, clock=SystemClock())
        super().__init__(storage, model=model, clock=SystemClock(), check_share=0.0, **settings)
        self.cache._vectors = VectorFile(folder / "cache.vectors", log=log, clock=SystemClock())

    async def ask(self, text: str, tenant: str = "a") -> Any:
        return await as_tenant_async(tenant, self.cache.look_up(pb.LookUpRequest(query=query(text))))

    async def keep(self, text: str) -> Any:
        return await as_tenant_async("a", self.cache.store(pb.StoreRequest(query=query(text), reply=reply(text))))

    async def begin(self) -> None:
        await self.cache.start()
        await self.cache.ready()

    def index(self) -> Any:
        table = self.cache._semantic._table
        assert table is not None
        return next(iter(table._scopes._scopes.values())).index

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.out.getvalue().splitlines()]


async def filled(folder: Path, model: Model) -> None:
    first = Kept(folder, model)
    await first.begin()
    for text in TEXTS:
        await first.keep(text)
    await first.cache.ready()
    await first.cache.stop()


@pytest.mark.parametrize("lists_from", [30, 5_000])
async def test_a_restart_finds_what_was_kept_and_trains_nothing(
    tmp_path: Path, model: Model, lists_from: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scopes, "LISTS_FROM", lists_from)
    await filled(tmp_path, model)
    monkeypatch.setattr(ListsIndex, "trained", None)
    again = Kept(tmp_path, model)
    await again.begin()
    assert isinstance(again.index(), ListsIndex) == (lists_from == 30)
    assert again.figure("omnisphere_cache_vectors") == len(TEXTS)
    found = await again.ask(TEXTS[1].lower())
    assert (found.outcome, found.reply.message.parts[0].text) == (pb.CACHE_OUTCOME_SEMANTIC_HIT, TEXTS[1])
    assert not (await again.ask(TEXTS[1].lower(), tenant="b")).similarity
    await again.invalidate(all=True)
    await again.keep("How do I shut the old shop?")
    assert again.figure("omnisphere_cache_vectors") == 1
    await again.cache.stop()
    assert again.events() == []


async def test_after_a_kill_what_came_after_the_file_is_found_and_what_went_is_not(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scopes, "LISTS_FROM", 30)
    await filled(tmp_path, model)
    killed = Kept(tmp_path, model)
    await killed.begin()
    await killed.keep("How do I close the old bridge?")
    gone = (await killed.ask(TEXTS[0])).entry_id
    assert await killed.invalidate(entry_id=gone) == 1
    await killed.writes.flush()
    again = Kept(tmp_path, model)
    await again.begin()
    assert again.figure("omnisphere_cache_vectors") == len(TEXTS)
    assert (await again.ask("how do i close the old bridge?")).reply == reply("How do I close the old bridge?")
    assert (await again.ask(TEXTS[0])).outcome != pb.CACHE_OUTCOME_EXACT_HIT
    await again.cache.stop()
    await killed.cache.stop()


async def test_before_all_vectors_are_back_there_is_nothing_to_leave(tmp_path: Path, model: Model):
    await filled(tmp_path, model)
    again = Kept(tmp_path, model)
    await again.cache.start()
    assert again.cache._semantic.snapshot(1, again.cache._table.name_at) is None
    await again.cache.ready()
    taken = again.cache._semantic.snapshot(1, again.cache._table.name_at)
    assert taken is not None
    assert sum(len(scope.numbers) for scope in taken.scopes) == len(TEXTS)
    await again.cache.stop()


def spoil(data: bytes, how: str) -> bytes:
    match how:
        case "cut":
            return data[: len(data) // 2]
        case "flipped":
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        case "version":
            return data[:8] + b"\x63" + data[9:]
        case _:
            return b""


@pytest.mark.parametrize(
    ("how", "cause"),
    [("cut", "checksum"), ("flipped", "checksum"), ("version", "version 99"), ("empty", "no snapshot")],
)
async def test_a_file_that_is_damaged_or_of_another_version_is_set_aside_and_said(
    tmp_path: Path, model: Model, how: str, cause: str
):
    await filled(tmp_path, model)
    path = tmp_path / "cache.vectors"
    path.write_bytes(spoil(path.read_bytes(), how))
    again = Kept(tmp_path, model)
    await again.begin()
    assert again.figure("omnisphere_cache_vectors") == len(TEXTS)
    assert again.events() == ["cache_vectors_set_aside"]
    assert cause in again.out.getvalue()
    assert sum(".broken-" in name for name in os.listdir(tmp_path)) == 1  # noqa: PTH208
    await again.cache.stop()
    assert "cache.vectors" in os.listdir(tmp_path)  # noqa: PTH208


async def test_vectors_of_another_model_are_not_taken_up(tmp_path: Path, model: Model):
    await filled(tmp_path, model)
    path = tmp_path / "cache.vectors"
    kept = snapshot.read(path)
    assert kept is not None
    snapshot.save(path, snapshot.Snapshot("other", kept.dimension, kept.mark, kept.scopes))
    again = Kept(tmp_path, model)
    await again.begin()
    assert again.figure("omnisphere_cache_vectors") == 0
    assert (await again.ask(TEXTS[0])).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    await again.cache.stop()


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "cache.vectors"
    numbers = np.array([7], np.int64)
    one = snapshot.ScopeVectors(b"s", numbers, b"f" * 32, vectors=np.ones((1, 4), np.float16))
    snapshot.save(path, snapshot.Snapshot("m", 4, 1, [one]))
    before = path.read_bytes()
    (tmp_path / "cache.vectors.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        snapshot.save(path, snapshot.Snapshot("m", 4, 2, [one]))
    assert path.read_bytes() == before
    kept = snapshot.read(path)
    assert kept is not None
    assert kept.mark == 1
    assert np.array_equal(kept.scopes[0].numbers, numbers)
