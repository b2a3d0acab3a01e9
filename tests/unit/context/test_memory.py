"""What is remembered is found again by words and by meaning, by its own tenant alone, until it is forgotten or over."""

from __future__ import annotations

import io

import pytest
import pytest_asyncio

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import PeerUnavailable
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.context.memory import Memory
from services.context.store import Store, StoreFailed
from services.context.vectors import Background, Vectors
from services.embedding.hashing import HashingEmbedder
from tests.fakes.clock import FakeClock
from tests.fakes.log import ReadableLog
from tests.unit.context.conversations import conversation, user

FACTS = ("The dentist is on Tuesday at nine.", "Ann's violin teacher is called Bogdan.", "The wifi password is tulip7.")


@pytest_asyncio.fixture
async def kept(tmp_path):
    """(memory, clock, the file's path)"""
    clock, executor, vectors = FakeClock(), Executor(threads=1), Vectors(HashingEmbedder, most=1_000)
    store = Store(tmp_path / "context" / "context.sqlite3")
    background = Background(vectors, Log("context", stream=io.StringIO()), waiting=10)
    yield Memory(store, executor, vectors, background, clock), clock, tmp_path / "context"
    await background.stop()
    executor.close()
    store.close()


def items(*texts, tags=(), conversation_id="", ttl=0):
    request = pb.RememberRequest(conversation_id=conversation_id)
    for text in texts:
        request.items.add(text=text, tags=tags)
    if ttl:
        request.ttl.seconds = ttl
    return request


async def texts(memory, query, *, tenant="red", conversation_id="", limit=10):
    found = await memory.recall(tenant, conversation_id, query, limit)
    assert [score for _, score in found.items] == sorted((score for _, score in found.items), reverse=True)
    return [item.text for item, _ in found.items]


async def test_the_best_item_comes_first(kept):
    memory, _, _ = kept
    ids = (await memory.remember("red", items(*FACTS))).ids
    assert len(set(ids)) == 3
    assert (await texts(memory, "Who is the teacher of Ann's violin?"))[0] == FACTS[1]
    assert (await texts(memory, "what was the wifi password", limit=1)) == [FACTS[2]]


async def test_another_tenant_finds_and_forgets_nothing(kept):
    memory, _, _ = kept
    ids = (await memory.remember("red", items(*FACTS, conversation_id="c"))).ids
    assert await texts(memory, "wifi password", tenant="blue", conversation_id="c") == []
    assert (await memory.forget("blue", pb.ForgetRequest(ids=ids))).items == 0
    assert await texts(memory, "wifi password", conversation_id="c") != []


async def test_a_conversation_finds_its_own_and_what_is_for_all(kept):
    memory, _, _ = kept
    await memory.remember("red", items(FACTS[0], conversation_id="one"))
    await memory.remember("red", items(FACTS[2]))
    query = "dentist on Tuesday, wifi password"
    assert set(await texts(memory, query, conversation_id="one")) == {FACTS[0], FACTS[2]}
    assert await texts(memory, query, conversation_id="two") == [FACTS[2]]
    assert await texts(memory, query) == [FACTS[2]]


async def test_what_is_over_is_not_found(kept):
    memory, clock, _ = kept
    await memory.remember("red", items(FACTS[0], ttl=60))
    assert await texts(memory, "dentist") == [FACTS[0]]
    clock.advance(61)
    assert await texts(memory, "dentist") == []


async def test_forget_takes_what_matches_every_field(kept):
    memory, _, _ = kept
    await memory.remember("red", items(FACTS[0], tags=["health"], conversation_id="c"))
    await memory.remember("red", items(FACTS[1], tags=["music"], conversation_id="c"))
    await memory.remember("red", items(FACTS[2], tags=["music"]))
    assert (await memory.forget("red", pb.ForgetRequest(tag="music", conversation_id="c"))).items == 1
    assert await texts(memory, "violin teacher", conversation_id="c") == []
    assert (await memory.forget("red", pb.ForgetRequest(tag="music"))).items == 1
    assert (await memory.forget("red", pb.ForgetRequest(conversation_id="c"))).items == 1


async def test_it_outlasts_the_process_and_nobody_else_may_read_it(kept):
    memory, _, directory = kept
    await memory.remember("red", items(FACTS[2], tags=["home"]))
    store = Store(directory / "context.sqlite3")
    assert store.read("SELECT text FROM items") == [(FACTS[2],)]
    store.close()
    assert {path.stat().st_mode & 0o077 for path in directory.iterdir()} == {0}


async def test_a_file_of_another_release_is_set_aside(kept):
    memory, _, directory = kept
    directory.mkdir()
    other = Store(directory / "context.sqlite3")
    other.write(("PRAGMA user_version = 99", [()]))
    other.close()
    await memory.remember("red", items(FACTS[2]))
    assert (directory / "context.schema99.sqlite3").exists()
    assert await texts(memory, "wifi password") == [FACTS[2]]


async def test_a_file_that_is_no_database_is_set_aside_and_said(kept):
    memory, _, directory = kept
    directory.mkdir()
    (directory / "context.sqlite3").write_bytes(b"no database" * 1_000)
    await memory.remember("red", items(FACTS[2]))
    assert await texts(memory, "wifi password") == [FACTS[2]]
    (aside,) = directory.glob("context.broken-*.sqlite3")
    assert aside.read_bytes().startswith(b"no database")


def test_a_store_that_fails_is_said_once_until_it_works_again(tmp_path):
    log = ReadableLog("context")
    store = Store(tmp_path / "there" / "context.sqlite3", log)
    (tmp_path / "there").write_text("a file where the directory should be")
    for _ in range(3):
        with pytest.raises(StoreFailed):
            store.read("SELECT 1")
    assert [event["cause"] for event in log.events("context_storage_failed")] == ["File exists"]
    (tmp_path / "there").unlink()
    assert store.read("SELECT 1") == [(1,)]
    store.close()
    assert len(log.events("context_storage_failed")) == 1


async def test_without_its_file_recall_is_degraded_and_remember_is_refused(kept):
    memory, _, directory = kept
    directory.write_text("a file where the directory should be")
    found = await memory.recall("red", "", "wifi", 10)
    assert (list(found.items), found.degraded) == ([], chat.Degradation.KIND_MEMORY_UNAVAILABLE)
    with pytest.raises(PeerUnavailable):
        await memory.remember("red", items(FACTS[2]))


async def test_fit_shows_what_the_question_needs(parts):
    await parts.memory.remember("default", items(*FACTS, conversation_id="shown"))
    asked = conversation(user("What is the wifi password?"))
    request = pb.FitRequest(
        conversation=asked, model="gpt-5", window_tokens=2_000, reserved_output_tokens=500, conversation_id="shown"
    )
    response = await parts.fitter.fit(request)
    block = response.blocks[0]
    assert (block.message, block.kind) == (0, pb.Block.KIND_MEMORY)
    assert FACTS[2] in response.messages[0].parts[0].text
    assert response.messages[1:] == list(asked.messages)
    assert response.after.upper_bound <= response.before.upper_bound + 150
    again = pb.FitRequest()
    again.CopyFrom(request)
    del again.conversation.messages[:]
    again.conversation.messages.extend(response.messages)
    assert list((await parts.fitter.fit(again)).messages) == list(response.messages)
    request.conversation_id = "another"
    assert list((await parts.fitter.fit(request)).messages) == list(asked.messages)
