"""The Decision adds up, compares honestly, and its log line holds no prompt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.catalog import Catalogue
from services.router.record import Record
from tests.fakes.clock import FakeClock
from tests.fakes.peers import attempt
from tests.unit.router.samples import admitted, fleet, model

CATALOGUE = Catalogue(tuple(fleet()), "v1")
CLASSES = (
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
counts = some.integers(0, 10**6)
attempts = some.builds(
    attempt_pb2.Attempt,
    usage=some.builds(chat_pb2.Usage, **dict.fromkeys(CLASSES, counts), estimated=some.booleans()),
    cost=some.builds(chat_pb2.Cost, nanousd=some.integers(0, 10**12), priced=some.booleans()),
    simulated=some.booleans(),
)


def record(clock: FakeClock | None = None, **fields: object) -> Record:
    return Record(admitted(**fields), clock or FakeClock())  # type: ignore[arg-type]


@given(some.lists(some.lists(attempts, max_size=3), max_size=4))
def test_all_figures_are_sums_of_the_attempts(calls):
    made = record()
    for call in calls:
        made.attempted(call)
    every = [one for call in calls for one in call]
    decision = made.decision
    assert [one.number for one in decision.attempts] == list(range(1, len(every) + 1))
    for name in CLASSES:
        assert getattr(decision.usage, name) == sum(getattr(one.usage, name) for one in every)
    assert decision.cost.nanousd == sum(one.cost.nanousd for one in every)
    assert decision.cost.priced == all(one.cost.priced for one in every)
    assert decision.usage.estimated == any(one.usage.estimated for one in every)
    assert decision.simulated == any(one.simulated for one in every)


def test_nothing_asked_costs_nothing_and_that_is_known():
    assert record().decision.cost == chat_pb2.Cost(nanousd=0, priced=True)
    assert record().decision.HasField("usage")


def test_a_policy_is_said_only_where_it_chose():
    assert record().decision.policy == "auto"
    assert len(record().decision.policy_hash) == 64
    named = record(model="gpt-5").decision
    assert (named.policy, named.policy_hash) == ("", "")


def test_the_task_is_that_of_the_hint_or_of_the_words():
    hinted = record(options=pb.RequestOptions(task_hint="research")).decision
    assert (hinted.task_type, hinted.task_source) == ("research", decision_pb2.TASK_SOURCE_HINT)
    found = record(conversation="Translate it").decision
    assert (found.task_type, found.task_source) == ("translation", decision_pb2.TASK_SOURCE_RULE)


def test_steps_are_timed_in_order_also_where_they_fail():
    clock = FakeClock()
    made = record(clock)
    with made.step("look_up"):
        clock.advance(0.25)
    try:
        with made.step("generate"):
            clock.advance(1.5)
            raise RuntimeError
    except RuntimeError:
        pass
    said = [(step.step, step.latency.ToTimedelta().total_seconds()) for step in made.decision.steps]
    assert said == [("look_up", 0.25), ("generate", 1.5)]


def test_savings_of_an_answer_are_the_reference_less_the_cost_of_all_attempts():
    made = record()
    made.attempted([attempt(cost=100, reason="PROVIDER_UNAVAILABLE"), attempt(cost=700)])
    made.saved(CATALOGUE, "claude-opus", chat_pb2.Usage(input_uncached_tokens=10, output_tokens=5), None)
    savings = made.decision.savings
    # 10 tokens of input at 15 USD and 5 of output at 30 USD per million.
    assert savings == decision_pb2.Savings(
        reference_model="claude-opus-5", reference_nanousd=300_000, routing_nanousd=299_200, estimated=True
    )


def test_a_dearer_answer_saves_less_than_nothing():
    made = record()
    made.attempted([attempt(cost=1_000_000)])
    made.saved(CATALOGUE, "claude-opus", chat_pb2.Usage(input_uncached_tokens=10), None)
    assert made.decision.savings.routing_nanousd == 150_000 - 1_000_000


def test_savings_of_a_hit_are_what_it_once_cost():
    made = record()
    made.saved(CATALOGUE, "claude-opus", chat_pb2.Usage(input_uncached_tokens=10), chat_pb2.Cost(nanousd=900))
    savings = made.decision.savings
    assert (savings.cache_nanousd, savings.reference_nanousd, savings.routing_nanousd) == (900, 150_000, 0)


def test_without_the_reference_model_nothing_is_compared():
    made = record()
    made.saved(Catalogue((model("other"),), "v1"), "claude-opus", chat_pb2.Usage(output_tokens=9), None)
    assert made.decision.savings == decision_pb2.Savings(estimated=True)


def test_a_degradation_is_said_once():
    made = record()
    for subject in ("cache", "cache", "context"):
        made.degraded(chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE, subject)
    assert [said.subject for said in made.decision.degradations] == ["cache", "context"]
