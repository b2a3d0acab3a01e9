"""The exact table against a naive one, and what a naive one does not show."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cache.entry import TOLERANCE_SECONDS, Entry, Moment
from services.cache.exact import ExactTable, Removed
from services.cache.fingerprint import Asked, Fingerprint, digest
from services.cache.places import NOWHERE
from services.cache.selection import Selection
from tests.unit.cache.samples import START, entry

NOW = Moment(START, 1_000.0)


def table(*, most_entries: int = 100, most_bytes: int = 10**9, removed: list[Fingerprint] | None = None) -> ExactTable:
    heard = removed if removed is not None else []
    return ExactTable(most_entries=most_entries, most_bytes=most_bytes, on_removed=telling(heard.append))


def telling(hear: Callable[[Fingerprint], object]) -> Removed:
    def removed(place: int, entry: Entry, *, forgotten: bool) -> None:
        hear(entry.fingerprint)

    return removed


def asked(of: Entry) -> Asked:
    return digest(of.canonical)


def test_a_kept_entry_is_found():
    made, kept = table(), entry("q")
    assert made.put(kept)
    assert made.look_up(asked(kept), now=NOW, max_age=None).entry == kept
    assert made.look_up(asked(entry("other")), now=NOW, max_age=None).state == "miss"


def test_a_digest_alone_is_not_enough():
    made, kept = table(), entry("q")
    made.put(kept)
    collision = replace(asked(entry("other")), fingerprint=kept.fingerprint)
    assert made.look_up(collision, now=NOW, max_age=None).state == "miss"
    assert len(made) == 1


def test_too_old_for_the_caller_is_stale_and_stays():
    made, kept = table(), entry("q")
    made.put(kept)
    later = Moment(START + 10, 1_010.0)
    assert made.look_up(asked(kept), now=later, max_age=9).state == "stale"
    assert made.look_up(asked(kept), now=later, max_age=10).state == "hit"


def test_an_entry_that_is_over_leaves():
    removed: list[Fingerprint] = []
    made, kept = table(removed=removed), entry("q", ttl=10)
    made.put(kept)
    assert made.look_up(asked(kept), now=Moment(START + 10, 1_010.0), max_age=None).state == "miss"
    assert len(made) == made.total_bytes == 0
    assert removed == [kept.fingerprint]


def test_a_look_without_touch_leaves_all_as_it_is():
    made, first, second, over = table(most_entries=3), entry("1"), entry("2"), entry("3", ttl=10)
    for kept in (first, second, over):
        made.put(kept)
    assert made.look_up(asked(first), now=NOW, max_age=None, touch=False).entry == first
    assert made.look_up(asked(over), now=Moment(START + 10, 1_010.0), max_age=None, touch=False).state == "miss"
    assert len(made) == 3
    made.put(entry("4"))
    assert made.look_up(asked(first), now=NOW, max_age=None).state == "miss"


def test_a_newer_answer_takes_the_place_of_an_older_one():
    removed: list[Fingerprint] = []
    made = table(removed=removed)
    older, newer = entry("q"), entry("q", stored_at=START + 1)
    made.put(older)
    made.put(newer)
    assert made.look_up(asked(older), now=NOW, max_age=None).entry == newer
    assert made.forget("a", Selection(entry_id=older.entry_id), now=NOW, dry_run=False) == 0
    assert removed == []
    assert made.total_bytes == newer.size()


def test_a_restored_entry_does_not_displace_a_new_one():
    made = table()
    older, newer = entry("q"), entry("q", stored_at=START + 1)
    made.put(newer)
    made.restore(older)
    made.restore(entry("other"))
    assert made.look_up(asked(older), now=NOW, max_age=None).entry == newer
    assert len(made) == 2


def test_what_is_larger_than_the_table_is_refused_and_displaces_nothing():
    small = entry("q")
    made = table(most_bytes=small.size())
    assert made.put(small)
    assert not made.put(entry("q" * 100))
    assert made.look_up(asked(small), now=NOW, max_age=None).state == "hit"


def test_an_id_is_worth_nothing_to_another_tenant():
    made, kept = table(), entry("q", tenant="a")
    made.put(kept)
    assert made.forget("b", Selection(entry_id=kept.entry_id), now=NOW, dry_run=False) == 0
    assert made.forget("b", Selection(), now=NOW, dry_run=False) == 0
    assert made.forget("a", Selection(entry_id=kept.entry_id), now=NOW, dry_run=False) == 1


def test_a_dry_run_counts_and_keeps():
    made = table()
    for number in range(5):
        made.put(entry(str(number), tags=("even",) if number % 2 == 0 else (), model=f"m{number}"))
    assert made.forget("a", Selection(tag="even"), now=NOW, dry_run=True) == 3
    assert len(made) == 5
    assert made.forget("a", Selection(tag="even", model="m2"), now=NOW, dry_run=False) == 1
    assert made.forget("a", Selection(), now=NOW, dry_run=False) == 4
    assert made.holding("a") == (0, 0)


class Naive:
    """The same promises, written the slow way."""

    def __init__(self, most_entries: int, most_bytes: int) -> None:
        self.most_entries, self.most_bytes = most_entries, most_bytes
        # Oldest first.
        self.probation: list[Entry] = []
        self.protected: list[Entry] = []

    @property
    def entries(self) -> list[Entry]:
        return self.probation + self.protected

    def keep(self, keeps: Callable[[Entry], bool]) -> None:
        self.probation = [e for e in self.probation if keeps(e)]
        self.protected = [e for e in self.protected if keeps(e)]

    def use(self, used: Entry) -> None:
        self.keep(lambda e: e is not used)
        self.protected.append(used)
        if len(self.protected) > 0.8 * len(self.entries):
            self.probation.append(self.protected.pop(0))

    def put(self, new: Entry) -> bool:
        if new.size() > self.most_bytes:
            return False
        self.keep(lambda e: e.canonical != new.canonical)
        self.probation.append(new)
        while len(self.entries) > self.most_entries or sum(e.size() for e in self.entries) > self.most_bytes:
            gone = next(e for e in self.entries if e is not new)
            self.keep(lambda e: e is not gone)  # noqa: B023
        return True

    def look_up(self, canonical: bytes, now: Moment, max_age: float | None) -> tuple[str, Entry | None]:
        for found in [e for e in self.entries if e.canonical == canonical]:
            ages = (now.wall - found.stored_at, now.monotonic - found.age_zero)
            if ages[0] < -TOLERANCE_SECONDS or max(ages) >= found.expires_at - found.stored_at:
                self.keep(lambda e: e is not found)  # noqa: B023
                return "miss", None
            if max_age is not None and max(ages) > max_age:
                return "stale", None
            if found in self.protected:
                self.protected.remove(found)
                self.protected.append(found)
            else:
                self.use(found)
            return "hit", found
        return "miss", None

    def forget(self, tenant: str, tag: str, *, dry_run: bool) -> list[Entry]:
        gone = [e for e in self.entries if e.tenant == tenant and (not tag or tag in e.tags)]
        if not dry_run:
            self.keep(lambda e: e not in gone)
        return gone


TENANTS, QUESTIONS, TAGS = (
    st.sampled_from("ab"),
    st.sampled_from(["1", "22", "3" * 400, "4", "5"]),
    st.sampled_from("xy"),
)
STEPS = st.one_of(
    st.tuples(st.just("put"), TENANTS, QUESTIONS, st.sampled_from([5.0, 60.0, 1e6]), TAGS),
    st.tuples(st.just("look"), TENANTS, QUESTIONS, st.sampled_from([None, 0.0, 10.0])),
    st.tuples(st.just("forget"), TENANTS, st.sampled_from(["", "x", "y"]), st.booleans()),
    st.tuples(st.just("wait"), st.floats(0, 70)),
    st.tuples(st.just("jump"), st.floats(-500, 500)),
)


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=60), st.integers(1, 6), st.sampled_from([1_000, 2_500, 10**6]))
def test_the_table_does_what_a_naive_one_does(steps, most_entries, most_bytes):
    # What a listener believes to be in the table: nothing may leave in silence.
    believed = set[Fingerprint]()
    real = ExactTable(most_entries=most_entries, most_bytes=most_bytes, on_removed=telling(believed.discard))
    naive, now = Naive(most_entries, most_bytes), NOW
    for step in steps:
        match step:
            case ("put", tenant, question, ttl, tag):
                new = entry(question, tenant=tenant, stored_at=now.wall, ttl=ttl, age_zero=now.monotonic, tags=(tag,))
                kept = real.put(new)
                assert kept == naive.put(new)
                believed |= {new.fingerprint} if kept else set()
            case ("look", tenant, question, max_age):
                probe = asked(entry(question, tenant=tenant))
                found = real.look_up(probe, now=now, max_age=max_age)
                assert (found.state, found.entry) == naive.look_up(probe.canonical, now, max_age)
            case ("forget", tenant, tag, dry_run):
                count = real.forget(tenant, Selection(tag=tag), now=now, dry_run=dry_run)
                gone = naive.forget(tenant, tag, dry_run=dry_run)
                assert count == sum(not e.is_over(now) for e in gone)
            case ("wait", seconds):
                now = Moment(now.wall + seconds, now.monotonic + seconds)
            case ("jump", seconds):
                now = Moment(now.wall + seconds, now.monotonic)
        assert len(real) == len(naive.entries)
        assert real.total_bytes == sum(e.size() for e in naive.entries) <= most_bytes
        for tenant in "ab":
            own = [e.size() for e in naive.entries if e.tenant == tenant]
            assert real.holding(tenant) == (len(own), sum(own))
        assert believed == {e.fingerprint for e in naive.entries}


def test_what_is_asked_for_again_outlasts_what_came_once():
    made, hot = table(most_entries=10), entry("hot")
    for kept in (hot, entry("a"), entry("b")):
        made.put(kept)
    made.look_up(asked(hot), now=NOW, max_age=None)
    for number in range(50):
        made.put(entry(str(number)))
    assert made.look_up(asked(hot), now=NOW, max_age=None).state == "hit"


def test_a_stream_by_zipf_is_hit_more_often_than_with_the_least_recently_used_leaving():
    chance, requests = random.Random(3), 20_000
    texts = chance.choices(range(2_000), [1 / (rank + 1) ** 0.8 for rank in range(2_000)], k=requests)
    entries = {text: entry(str(text)) for text in set(texts)}
    made, lru = table(most_entries=200), OrderedDict[int, None]()
    hits = plain = 0
    for text in texts:
        if made.look_up(asked(entries[text]), now=NOW, max_age=None).entry:
            hits += 1
        else:
            made.put(entries[text])
        plain += text in lru
        lru[text] = None
        lru.move_to_end(text)
        if len(lru) > 200:
            lru.popitem(last=False)
    print(f"segmented {hits / requests:.3f}, least recently used {plain / requests:.3f}")
    assert hits > 1.05 * plain


def test_a_tenant_that_is_full_loses_entries_of_its_own():
    made = ExactTable(most_entries=10, most_bytes=10**9, on_removed=telling(lambda name: None), tenant_share=0.5)
    made.put(entry("q", tenant="b"))
    for number in range(20):
        made.put(entry(str(number), tenant="a"))
    assert (made.holding("a")[0], made.holding("b")[0]) == (5, 1)


def test_a_sweep_drops_what_is_over_a_few_at_a_time():
    removed: list[Fingerprint] = []
    made = table(removed=removed)
    for number in range(10):
        made.put(entry(str(number), ttl=10.0 if number % 2 else 1_000.0))
    later = Moment(NOW.wall + 20, NOW.monotonic + 20)
    assert sum(made.sweep(later, 3) for _ in range(4)) == 5
    assert (len(made), len(removed)) == (5, 5)
    assert made.sweep(later, 100) == 0


def test_what_is_restored_newest_first_leaves_oldest_first_and_before_what_is_new():
    made = table(most_entries=4)
    made.put(entry("new"))
    for number in (3, 2, 1):
        assert made.restore(entry(str(number))) != NOWHERE
    for number in range(3):
        made.put(entry(f"later {number}"))
    kept = [name for name in ("1", "2", "3", "new") if made.get(entry(name).fingerprint)]
    assert kept == ["new"]


def test_what_is_restored_and_finds_no_room_is_told_as_gone():
    removed: list[Fingerprint] = []
    made = ExactTable(most_entries=10, most_bytes=10**9, on_removed=telling(removed.append), tenant_share=0.2)
    places = [made.restore(entry(str(number))) for number in range(3)]
    assert places[2] == NOWHERE != places[1]
    assert removed == [entry("2").fingerprint]
    assert made.restore(entry("q", tenant="b")) != NOWHERE


def test_of_two_requests_whose_fingerprints_begin_alike_the_newer_one_stays():
    removed: list[Fingerprint] = []
    made, older, newer = table(removed=removed), entry("1"), entry("2")
    alike = newer._replace(fingerprint=Fingerprint(older.fingerprint[:10] + newer.fingerprint[10:]))
    made.put(older)
    made.put(alike)
    assert removed == [older.fingerprint]
    assert len(made) == 1
    assert made.look_up(asked(older), now=NOW, max_age=None).state == "miss"
    assert made.get(older.fingerprint) is None


@pytest.mark.parametrize("name", ["", "x", "00", "0" * 32, "é" * 32, "0" * 64])
def test_a_name_that_nothing_has_finds_nothing(name: str):
    made, wall = table(), b""
    made.put(entry("q"))
    assert made.named(name, wall) is None
    assert made.still(name, wall, now=NOW, max_age=None).state == "miss"
