"""Checks of cached answers: asked again for the same tenant, reported, within the money and the queue there is."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.errors import DeadlineExceeded, PeerUnavailable
from services.router.learning.hit_checks import HitChecks
from services.router.learning.metrics import LearningMetrics
from services.router.learning.shadow import Purse, Shadow
from tests.fakes.clock import FakeClock
from tests.fakes.log import ReadableLog
from tests.fakes.peers import ScriptedCache, ScriptedProviders, answer, attempt
from tests.unit.router.samples import PRIMARY, assistant, caller, fleet, talk


class Checks:
    """A queue of checks with its parts in reach."""

    def __init__(self, budget: int = 10**9, fresh: str = "Like this.") -> None:
        self.cache, self.providers, self.clock = ScriptedCache(), ScriptedProviders(fleet()), FakeClock()
        self.registry = CollectorRegistry()
        self.providers.play(PRIMARY, answer(fresh))
        self.shadow = Shadow(clock=self.clock, log=ReadableLog("router"), budget_nanousd=budget)
        self.checks = HitChecks(self.shadow, self.cache, self.providers, LearningMetrics(self.registry))

    def check(self, kept: str = "Like this.", *, cost: int = 0, priced: bool = True) -> None:
        asked = chat_pb2.Cost(nanousd=cost, priced=priced)
        reply = cache_pb.CachedReply(message=assistant(kept), model=PRIMARY, cost=asked)
        served = cache_pb.LookUpResponse(reply=reply, entry_id="entry", check_probability=0.25)
        with call_context.entered(caller(tenant="tenant-1", deadline=1.0)):
            self.checks.check(cache_pb.Query(conversation=talk("How?"), region_tags=["eu"]), served)

    def counted(self, check: str) -> Any:
        return self.registry.get_sample_value("omnisphere_router_shadow_checks_total", {"check": check})


async def test_a_check_asks_the_model_of_the_answer_for_the_same_tenant_and_reports():
    checks = Checks()
    checks.shadow.start()
    checks.check()
    await checks.shadow.done()
    await checks.shadow.stop()
    (asked,) = checks.providers.asked
    assert (asked.model, asked.purpose) == (PRIMARY, attempt_pb2.PURPOSE_SHADOW)
    assert list(asked.region_tags) == ["eu"]
    assert checks.providers.seen[0].caller.tenant == "tenant-1"
    assert checks.providers.seen[0].deadline is None
    (report,) = checks.cache.reported
    assert report.verdict == cache_pb.ReportHitRequest.VERDICT_RIGHT
    assert (report.entry_id, report.check_probability) == ("entry", 0.25)
    assert checks.counted("right") == 1


async def test_a_wrong_answer_is_reported_as_one():
    checks = Checks(fresh="Whales eat krill.")
    checks.shadow.start()
    checks.check("Descale the kettle with vinegar.")
    await checks.shadow.done()
    await checks.shadow.stop()
    assert checks.cache.reported[0].verdict == cache_pb.ReportHitRequest.VERDICT_WRONG


async def test_without_money_or_room_a_check_is_not_made_and_is_counted():
    checks = Checks(budget=0)
    for _ in range(70):
        checks.check()
    assert checks.counted("queue_full") == 6
    checks.shadow.start()
    await checks.shadow.done()
    await checks.shadow.stop()
    assert checks.counted("budget") == 64
    assert checks.providers.asked == []


async def test_what_is_dearer_than_what_is_left_or_has_no_price_is_not_checked():
    checks = Checks(budget=1_000)
    checks.check(cost=1_001)
    checks.check(priced=False)
    checks.shadow.start()
    await checks.shadow.done()
    await checks.shadow.stop()
    assert (checks.providers.asked, checks.counted("budget")) == ([], 2)


def test_a_purse_is_full_again_after_a_day_and_remembers_nothing_that_was_free():
    clock = FakeClock()
    purse = Purse(1_000, clock)
    for cost in (0, 600, 0, 400, 0):
        purse.attempted([attempt(cost=cost)])
        clock.advance(43_200.0)
    assert purse.left == 1_000 - 400
    clock.advance(86_400.0)
    assert (purse.left, len(purse._spent)) == (1_000, 0)


async def test_a_call_that_ended_without_a_word_costs_as_much_as_was_expected():
    checks = Checks(budget=1_000)
    checks.providers.play(PRIMARY, [DeadlineExceeded(step="generate")], answer("Like this."))
    for _ in range(2):
        checks.check(cost=1_000)
    checks.shadow.start()
    await checks.shadow.done()
    await checks.shadow.stop()
    assert (len(checks.providers.asked), checks.counted("budget")) == (1, 1)


async def test_a_failure_is_counted_by_its_reason_and_the_next_check_goes_on():
    checks = Checks()
    checks.cache.failing = PeerUnavailable(peer="cache")
    checks.shadow.start()
    checks.check()
    await checks.shadow.done()
    checks.cache.failing = None
    checks.check()
    await checks.shadow.done()
    await checks.shadow.stop()
    assert (checks.counted("peer_unavailable"), checks.counted("right")) == (1, 1)
