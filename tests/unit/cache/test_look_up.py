"""The journey: what is served, to whom, for how long, and what is kept."""

from __future__ import annotations

import random

import pytest
from google.protobuf.duration_pb2 import Duration

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.entry import Moment
from services.cache.epochs import Epochs
from services.cache.sqlite_storage import SqliteStorage
from services.cache.storage import MemoryStorage
from services.chassis.errors import InvalidRequest
from services.chassis.logs import Log
from tests.unit.cache.samples import START, Bench, StillClock, as_tenant, at_once, query, reply

DAY = 24 * 3600
# (text, system prompt): two of one scope, and one of another.
SCOPES = [("1", "Be brief."), ("2", "Be brief."), ("1", "Be rude.")]


def test_a_stored_answer_is_a_hit():
    bench = Bench()
    assert bench.look_up(query()).outcome == pb.CACHE_OUTCOME_MISS
    stored = bench.store(query())
    assert stored.stored
    assert stored.reason == pb.CACHE_REASON_UNSPECIFIED
    found = bench.look_up(query())
    assert found.outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert found.reply == reply()
    assert found.entry_id == stored.entry_id
    assert found.stored_at.seconds == START


def test_a_changed_answer_or_request_does_not_reach_the_table():
    bench = Bench()
    asked, answer = query(), reply()
    bench.store(asked, answer)
    answer.message.parts[0].text = "forged"
    bench.look_up(query()).reply.message.parts[0].text = "forged"
    asked.conversation.messages[0].parts[0].text = "forged"
    assert bench.look_up(query()).reply == reply()


def test_requests_are_left_as_they_were():
    bench = Bench()
    asked = query(region_tags=["us", "eu"])
    asked.conversation.messages[0].pinned = True
    before = asked.SerializeToString(deterministic=True)
    bench.store(asked)
    assert bench.look_up(asked).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert asked.SerializeToString(deterministic=True) == before


def test_a_request_that_is_not_valid_is_refused():
    with pytest.raises(InvalidRequest):
        Bench().look_up(pb.Query())
    with pytest.raises(InvalidRequest):
        Bench().store(pb.Query())


def test_no_cache_bypasses_and_no_store_keeps_nothing():
    bench = Bench()
    refused = bench.store(query(), no_store=True)
    assert (refused.stored, refused.reason) == (False, pb.CACHE_REASON_CALLER)
    bench.store(query())
    bypassed = bench.look_up(query(), no_cache=True)
    assert (bypassed.outcome, bypassed.reason) == (pb.CACHE_OUTCOME_BYPASSED, pb.CACHE_REASON_CALLER)
    assert bench.look_up(query(), no_store=True).outcome == pb.CACHE_OUTCOME_EXACT_HIT


def test_what_is_not_eligible_is_neither_served_nor_kept():
    bench = Bench()
    asked = query(uses_memory=True)
    assert bench.store(asked).reason == pb.CACHE_REASON_USES_MEMORY
    found = bench.look_up(asked)
    assert (found.outcome, found.reason) == (pb.CACHE_OUTCOME_NOT_ELIGIBLE, pb.CACHE_REASON_USES_MEMORY)


@pytest.mark.parametrize("finish", ["UNSPECIFIED", "LENGTH", "CONTENT_FILTER", "ERROR", "OTHER"])
def test_an_answer_that_is_not_complete_is_not_kept(finish):
    bench = Bench()
    refused = bench.store(query(), reply(finish=finish))
    assert (refused.stored, refused.reason) == (False, pb.CACHE_REASON_INCOMPLETE)
    assert bench.look_up(query()).outcome == pb.CACHE_OUTCOME_MISS


def test_an_answer_without_content_is_not_kept():
    bench = Bench()
    no_message, no_parts, no_content = reply(), reply(), reply()
    no_message.ClearField("message")
    del no_parts.message.parts[:]
    no_content.message.parts[0].ClearField("text")
    for answer in (no_message, no_parts, no_content):
        assert bench.store(query(), answer).reason == pb.CACHE_REASON_INCOMPLETE


def test_an_answer_with_tool_calls_is_kept_for_the_exact_level():
    bench = Bench()
    answer = reply(finish="TOOL_CALLS")
    answer.message.parts.add().tool_call.CopyFrom(chat_pb2.ToolCall(id="1", name="f", arguments_json="{}"))
    stored = bench.store(query(), answer)
    assert (stored.stored, stored.reason) == (True, pb.CACHE_REASON_TOOLS)
    assert bench.look_up(query()).reply == answer


def test_an_answer_that_is_too_large_is_not_kept():
    bench = Bench()
    refused = bench.store(query(), reply("x" * 1024 * 1024))
    assert (refused.stored, refused.reason) == (False, pb.CACHE_REASON_TOO_LARGE)
    assert Bench(most_bytes=200).store(query()).reason == pb.CACHE_REASON_TOO_LARGE


@pytest.mark.parametrize(
    ("text", "ttl", "least", "most"),
    [
        ("q", None, 0.9 * DAY, 1.1 * DAY),
        ("q", 100, 90, 100),
        ("q", 30 * DAY, 6.3 * DAY, 7 * DAY),
        ("q", 10**11, 6.3 * DAY, 7 * DAY),
        ("news today", None, 54, 60),
        ("news today", 10, 9, 10),
    ],
)
def test_an_answer_lives_as_long_as_the_caller_the_question_and_the_limit_allow(text, ttl, least, most):
    bench = Bench()
    stored = bench.store(query(text), ttl=None if ttl is None else Duration(seconds=ttl))
    life = stored.expires_at.seconds + stored.expires_at.nanos / 1e9 - START
    assert least <= life <= most
    bench.clock.pass_time(life - 0.1)
    assert bench.look_up(query(text)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    bench.clock.pass_time(0.2)
    assert bench.look_up(query(text)).outcome == pb.CACHE_OUTCOME_MISS


def test_a_life_of_nothing_is_not_kept():
    bench = Bench()
    assert bench.store(query(), ttl=Duration()).reason == pb.CACHE_REASON_CALLER


def test_an_answer_older_than_the_caller_wants_is_stale():
    bench = Bench()
    bench.store(query())
    bench.clock.pass_time(2)
    assert bench.look_up(query(), max_age=Duration(seconds=1)).outcome == pb.CACHE_OUTCOME_STALE
    assert not bench.look_up(query(), max_age=Duration(seconds=1)).HasField("reply")
    assert bench.look_up(query(), max_age=Duration(seconds=3)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    bench.store(query())
    assert bench.look_up(query(), max_age=Duration(seconds=1)).outcome == pb.CACHE_OUTCOME_EXACT_HIT


def test_a_miss_says_which_level_was_left_out():
    assert Bench().look_up(query("weather")).reason == pb.CACHE_REASON_VOLATILE


def test_a_peek_answers_and_leaves_no_trace():
    bench = Bench(most_entries=2)
    bench.store(query("1"))
    bench.store(query("2"))
    found = as_tenant("a", lambda: at_once(bench.cache.look_up(pb.LookUpRequest(query=query("1"), peek=True))))
    assert (found.outcome, found.reply) == (pb.CACHE_OUTCOME_EXACT_HIT, reply())
    assert bench.stats().exact_hits == 0
    assert bench.figure("omnisphere_cache_lookups_total", outcome="exact_hit") == 0
    bench.store(query("3"))
    assert bench.look_up(query("1")).outcome == pb.CACHE_OUTCOME_MISS


async def test_another_epoch_finds_nothing_of_before():
    storage = MemoryStorage()
    for epoch, outcome in ((0, pb.CACHE_OUTCOME_MISS), (0, pb.CACHE_OUTCOME_EXACT_HIT), (1, pb.CACHE_OUTCOME_MISS)):
        bench = Bench(storage, epoch=epoch)
        await bench.cache.start()
        assert bench.look_up(query()).outcome == outcome
        bench.store(query())
        await bench.cache.stop()


async def test_invalidate_forgets_what_matches_and_nobody_elses():
    bench = Bench()
    ids = {}
    for tenant in "ab":
        for text, model in (("1", "m"), ("2", "m"), ("3", "n")):
            answer = reply(model=model)
            ids[tenant, text] = bench.store(query(text), answer, tenant=tenant, tags=[f"tag{text}"]).entry_id
    assert await bench.invalidate("a", all=True, dry_run=True) == 3
    assert await bench.invalidate("a", entry_id=ids["b", "1"]) == 0
    assert await bench.invalidate("a", entry_id=ids["a", "1"], tag="tag2") == 0
    assert await bench.invalidate("a", entry_id=ids["a", "1"]) == 1
    assert await bench.invalidate("a", entry_id=ids["a", "1"]) == 0
    assert await bench.invalidate("a", tag="tag2") == 1
    assert await bench.invalidate("a", model="m") == 0
    assert await bench.invalidate("a", all=True) == 1
    assert bench.stats("a").entries == 0
    assert bench.stats("b").entries == 3


async def test_a_scope_is_forgotten_by_any_of_its_entries():
    bench = Bench()
    (one, _, other) = (bench.store(query(text, system=system)).entry_id for text, system in SCOPES)
    bench.store(query("1"), tenant="b")
    assert await bench.invalidate(scope_of_entry_id=one, dry_run=True) == 2
    assert await bench.invalidate("b", scope_of_entry_id=one) == 0
    assert await bench.invalidate(scope_of_entry_id=one, model="none") == 0
    assert await bench.invalidate(scope_of_entry_id=one) == 2
    assert await bench.invalidate(scope_of_entry_id=one) == 0
    assert bench.still(other).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert bench.stats("b").entries == 1


async def test_in_a_new_epoch_of_a_tenant_nothing_of_before_is_there_also_after_a_restart():
    storage = MemoryStorage()
    bench = Bench(storage)
    await bench.cache.start()
    known = bench.store(query()).entry_id
    bench.store(query(), tenant="b")
    stale = bench.storage
    await bench.writes.flush()
    before = stale.load(Moment(bench.clock.wall(), bench.clock.monotonic()), most_entries=9, most_bytes=10**9)
    assert await bench.invalidate(new_epoch=True, dry_run=True) == 1
    assert bench.look_up(query()).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert await bench.invalidate(new_epoch=True) == 1
    assert bench.look_up(query()).outcome == bench.still(known).outcome == pb.CACHE_OUTCOME_MISS
    assert bench.look_up(query(), tenant="b").outcome == pb.CACHE_OUTCOME_EXACT_HIT
    # A file that still has what was there before, as a copy would.
    storage.write({entry.fingerprint: entry for entry in before})
    assert bench.store(query("new")).stored
    await bench.cache.stop()
    again = Bench(storage)
    again.clock.pass_time(1)
    await again.cache.start()
    assert again.look_up(query()).outcome == pb.CACHE_OUTCOME_MISS
    assert again.look_up(query("new")).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert await again.invalidate(new_epoch=True) == 1
    assert again.look_up(query("new")).outcome == pb.CACHE_OUTCOME_MISS
    await again.cache.stop()


async def test_what_was_forgotten_is_off_the_disk_when_invalidate_returns(tmp_path):
    def bench() -> Bench:
        return Bench(SqliteStorage(tmp_path / "cache.sqlite", log=Log("cache"), clock=StillClock()))

    one = bench()
    await one.cache.start()
    one.store(query())
    await one.writes.flush()
    assert await one.invalidate(all=True) == 1
    two = bench()  # as after a kill: `one` was not stopped
    await two.cache.start()
    assert two.look_up(query()).outcome == pb.CACHE_OUTCOME_MISS
    await two.cache.stop()
    await one.cache.stop()


async def test_a_restart_keeps_entries_with_their_names_and_lives(tmp_path):
    def bench() -> Bench:
        return Bench(SqliteStorage(tmp_path / "cache.sqlite", log=Log("cache"), clock=StillClock()))

    one = bench()
    await one.cache.start()
    stored = one.store(query(), ttl=Duration(seconds=1000), tags=["t"])
    one.store(query(), reply("other"), tenant="b")
    await one.cache.stop()
    two = bench()
    two.clock.wall_now += 500
    two.clock.monotonic_now = 3.0  # the machine was started anew
    await two.cache.start()
    found = two.look_up(query())
    assert (found.outcome, found.entry_id) == (pb.CACHE_OUTCOME_EXACT_HIT, stored.entry_id)
    assert two.look_up(query(), tenant="b").reply == reply("other")
    assert two.look_up(query(), tenant="c").outcome == pb.CACHE_OUTCOME_MISS
    assert two.look_up(query(), max_age=Duration(seconds=499)).outcome == pb.CACHE_OUTCOME_STALE
    two.clock.pass_time(601)
    assert two.look_up(query()).outcome == pb.CACHE_OUTCOME_MISS
    await two.cache.stop()


async def test_after_a_restart_the_oldest_go_first(tmp_path):
    def bench(most_entries: int) -> Bench:
        storage = SqliteStorage(tmp_path / "cache.sqlite", log=Log("cache"), clock=StillClock())
        return Bench(storage, most_entries=most_entries)

    one = bench(5)
    await one.cache.start()
    for number in range(5):
        one.store(query(str(number)))
    await one.cache.stop()
    two = bench(4)
    await two.cache.start()
    two.store(query("5"))
    hits = [n for n in range(6) if two.look_up(query(str(n))).outcome == pb.CACHE_OUTCOME_EXACT_HIT]
    assert hits == [2, 3, 4, 5]
    await two.cache.stop()


def test_figures_are_told_per_tenant_and_in_all():
    bench = Bench()
    bench.store(query())
    bench.store(query(), no_store=True)
    bench.look_up(query())
    bench.look_up(query("other"))
    bench.look_up(query(), no_cache=True)
    bench.look_up(query(), tenant="b")
    own = bench.stats("a")
    assert (own.entries, own.exact_hits, own.misses, own.not_eligible) == (1, 1, 1, 1)
    assert own.bytes > 0
    assert not own.shared
    assert bench.stats("b") == pb.GetStatsResponse(misses=1)
    assert bench.stats("never seen") == pb.GetStatsResponse()
    assert bench.figure("omnisphere_cache_lookups_total", outcome="exact_hit") == 1
    assert bench.figure("omnisphere_cache_lookups_total", outcome="miss") == 2
    assert bench.figure("omnisphere_cache_lookups_total", outcome="bypassed") == 1
    assert bench.figure("omnisphere_cache_stores_total", result="stored") == 1
    assert bench.figure("omnisphere_cache_stores_total", result="caller") == 1
    assert bench.figure("omnisphere_cache_entries") == 1
    assert bench.figure("omnisphere_cache_bytes") == own.bytes
    assert bench.figure("omnisphere_cache_dropped_writes_total") == 0


@pytest.mark.slow
def test_ten_thousand_look_ups_of_strangers_find_nothing_foreign():
    chance = random.Random(5)
    bench = Bench(most_entries=700)
    hits = 0
    for _ in range(10_000):
        tenant, policy, system = chance.choice("ab"), chance.choice(["", "p1", "p2"]), chance.choice(["", "s", "ss"])
        text, temperature = chance.choice(["t", "s", ""]), chance.choice([None, 0.0, 0.2])
        asked = query(text, system=system, policy_hash=policy, simulated=chance.random() < 0.5)
        if temperature is not None:
            asked.conversation.sampling.temperature = temperature
        owner = repr((tenant, policy, system, text, temperature, asked.simulated))
        found = bench.look_up(asked, tenant)
        if found.outcome == pb.CACHE_OUTCOME_EXACT_HIT:
            hits += 1
            assert found.reply.message.parts[0].text == owner
        else:
            bench.store(asked, reply(owner), tenant)
        if chance.random() < 0.01:
            bench.clock.wall_now += chance.uniform(-3_600, 3_600)
    assert hits > 1_000


def test_a_known_entry_is_confirmed_without_its_query_and_without_its_answer():
    bench = Bench()
    stored = bench.store(query())
    again = bench.still(stored.entry_id)
    assert (again.outcome, again.HasField("reply")) == (pb.CACHE_OUTCOME_EXACT_HIT, False)
    assert bench.stats().exact_hits == 1


def test_a_known_entry_of_somebody_else_or_of_another_epoch_is_not_there():
    bench = Bench()
    stored = bench.store(query())
    assert bench.still(stored.entry_id, tenant="b").outcome == pb.CACHE_OUTCOME_MISS
    assert bench.still("0" * 32).outcome == pb.CACHE_OUTCOME_MISS
    bench.cache._epochs = Epochs(1)
    assert bench.still(stored.entry_id).outcome == pb.CACHE_OUTCOME_MISS


async def test_a_known_entry_that_is_over_replaced_or_forgotten_is_not_confirmed():
    bench = Bench()
    first = bench.store(query(), ttl=Duration(seconds=100))
    bench.clock.pass_time(50)
    assert bench.still(first.entry_id, max_age=Duration(seconds=10)).outcome == pb.CACHE_OUTCOME_STALE
    second = bench.store(query(), ttl=Duration(seconds=100))
    assert bench.still(first.entry_id).outcome == pb.CACHE_OUTCOME_MISS
    assert bench.still(second.entry_id).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert bench.still(second.entry_id, no_cache=True).outcome == pb.CACHE_OUTCOME_BYPASSED
    bench.clock.pass_time(200)
    assert bench.still(second.entry_id).outcome == pb.CACHE_OUTCOME_MISS
    third = bench.store(query())
    await bench.invalidate(all=True)
    assert bench.still(third.entry_id).outcome == pb.CACHE_OUTCOME_MISS


def test_a_known_entry_and_a_query_are_refused():
    bench = Bench()
    with pytest.raises(InvalidRequest) as caught:
        as_tenant("a", bench.cache.still, pb.LookUpRequest(query=query(), known_entry_id="x"))
    assert caught.value.metadata["field"] == "known_entry_id"
