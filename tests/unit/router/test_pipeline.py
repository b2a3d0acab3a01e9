"""The whole journey on scripted peers: what every step does to the answer, and to the Decision."""

from __future__ import annotations

import asyncio

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.errors import (
    DeadlineExceeded,
    Internal,
    InvalidRequest,
    NoCandidateLeft,
    NoEndpoint,
    NotFound,
    PeerUnavailable,
    ProviderRejected,
    ProviderUnavailable,
    UnknownModel,
    UnknownPolicy,
)
from tests.fakes.peers import answer, attempt, failed
from tests.unit.router.samples import (
    FALLBACK,
    PRIMARY,
    Rig,
    assistant,
    caller,
    fleet,
    message,
    model,
    rig,
    settle,
    talk,
)


def cached(text: str = "kept") -> cache_pb.CachedReply:
    return cache_pb.CachedReply(
        message=assistant(text),
        finish_reason=chat_pb2.FINISH_REASON_STOP,
        model=PRIMARY,
        usage=chat_pb2.Usage(input_uncached_tokens=1_000, output_tokens=1_000),
        cost=chat_pb2.Cost(nanousd=900, priced=True),
    )


async def test_a_hit_answers_at_no_cost_and_calls_no_model():
    async with rig() as it:
        it.cache.hit = cached()
        outcome = await it.ask()
    assert outcome.kinds == ["started", "delta", "end"]
    assert (outcome.text, outcome.end.finish_reason) == ("kept", chat_pb2.FINISH_REASON_STOP)
    assert it.providers.asked == []
    assert it.cache.stored == []
    decision = outcome.decision
    assert (decision.model, decision.cache.outcome, decision.cache.entry_id) == (
        PRIMARY,
        cache_pb.CACHE_OUTCOME_EXACT_HIT,
        "entry-1",
    )
    assert decision.cost == chat_pb2.Cost(nanousd=0, priced=True)
    assert decision.savings.cache_nanousd == 900
    # 1,000 tokens of input at 15 USD and 1,000 of output at 30 USD per million.
    assert decision.savings.reference_nanousd == 45_000_000
    assert decision.savings.routing_nanousd == 0
    assert not decision.attempts


async def test_a_miss_asks_a_model_and_stores_its_answer_afterwards():
    async with rig() as it:
        it.providers.play(PRIMARY, answer("fresh", model=PRIMARY))
        outcome = await it.ask()
        await settle()
    assert outcome.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS
    (stored,) = it.cache.stored
    assert stored.query == it.cache.looked_up[0].query
    assert stored.reply.message == assistant("fresh")
    assert (stored.reply.model, stored.reply.cost.nanousd) == (PRIMARY, 700)
    assert not it.cache.looked_up[0].peek


async def test_an_answer_that_may_not_be_kept_is_not_stored():
    async with rig() as it:
        await it.ask(options=pb.RequestOptions(cache=cache_pb.CacheControl(no_store=True)))
        await settle()
    assert it.cache.stored == []


async def test_without_the_cache_the_answer_comes_and_says_so():
    async with rig() as it:
        it.cache.failing = PeerUnavailable(peer="cache")
        outcome = await it.ask()
        await settle()
    assert outcome.error is None
    assert outcome.decision.cache.outcome == cache_pb.CACHE_OUTCOME_UNAVAILABLE
    assert [(d.kind, d.subject) for d in outcome.decision.degradations] == [
        (chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE, "cache")
    ]


async def test_a_cache_that_is_away_is_left_alone_for_a_while_after_three_failures():
    unkept = pb.RequestOptions(cache=cache_pb.CacheControl(no_store=True))
    async with rig() as it:
        it.cache.failing = PeerUnavailable(peer="cache")
        for n in range(5):
            assert (await it.ask(f"question {n}", options=unkept)).error is None
        assert len(it.cache.looked_up) == 3
        it.clock.advance(1.1)
        it.cache.failing = None
        assert (await it.ask("once more")).decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS


async def test_a_store_that_succeeds_after_a_rest_brings_the_cache_back():
    gate = asyncio.Event()
    unkept = pb.RequestOptions(cache=cache_pb.CacheControl(no_store=True))
    async with rig() as it:
        it.cache.failing = PeerUnavailable(peer="cache")
        for n in range(3):
            await it.ask(f"question {n}", options=unkept)
        it.providers.play(PRIMARY, [gate, *answer("slow", model=PRIMARY)])
        slow = it.ask("slow")
        await settle()
        it.cache.failing = None
        it.clock.advance(1.1)
        gate.set()
        assert (await slow).decision.cache.outcome == cache_pb.CACHE_OUTCOME_UNAVAILABLE
        await settle()
        assert len(it.cache.stored) == 1
        assert (await it.ask("next")).decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS


async def test_a_request_that_the_cache_refuses_is_refused():
    async with rig() as it:
        it.cache.failing = InvalidRequest(field="query", problem="is odd")
        outcome = await it.ask()
    assert isinstance(outcome.error, InvalidRequest)
    assert it.providers.asked == []


async def test_only_if_cached_means_no_model():
    async with rig() as it:
        outcome = await it.ask(options=pb.RequestOptions(cache=cache_pb.CacheControl(only_if_cached=True)))
    assert isinstance(outcome.error, NotFound)
    assert outcome.kinds == ["end"]
    assert it.providers.asked == []


async def test_explain_of_what_only_the_cache_may_answer_says_that_there_is_nothing():
    async with rig() as it:
        options = pb.RequestOptions(cache=cache_pb.CacheControl(only_if_cached=True))
        with pytest.raises(NotFound):
            await it.pipeline.explain(pb.ExplainRequest(conversation=talk("hello"), options=options))


async def test_without_providers_nothing_can_be_asked_and_the_peer_is_named():
    made = Rig()
    made.after.start()
    made.providers.failing = PeerUnavailable(peer="providers")
    outcome = await made.ask()
    await made.after.stop()
    assert isinstance(outcome.error, PeerUnavailable)
    assert outcome.error.metadata == {"peer": "providers"}
    assert outcome.kinds == ["end"]


async def test_a_catalogue_that_could_not_be_refreshed_still_serves_and_says_so():
    async with rig() as it:
        it.catalogue.stale = True
        outcome = await it.ask()
    assert chat_pb2.Degradation.KIND_CATALOGUE_STALE in [d.kind for d in outcome.decision.degradations]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("step", ["look_up", "generate"])
async def test_a_deadline_names_the_step_that_took_too_long(step, stream):
    async with rig() as it:
        if step == "look_up":
            it.cache.gate = asyncio.Event()
        else:
            it.providers.play(PRIMARY, [asyncio.Event()])
        outcome = await it.ask(seconds=0.03, stream=stream)
        await it.settle_books()
        assert it.ledger.rows[0]["error"] == "CANCELLED"
    assert isinstance(outcome.error, DeadlineExceeded)
    assert outcome.error.metadata == {"step": step}
    assert outcome.kinds[-1] == "end"


async def test_a_deadline_that_has_passed_calls_nobody():
    async with rig() as it:
        outcome = await it.ask(seconds=0.0)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert outcome.error.metadata == {"step": "admit"}
    assert it.cache.looked_up == []


async def test_the_peers_see_the_request_id_and_the_flights_deadline():
    async with rig(deadline=60.0) as it:
        began = it.clock.monotonic()
        await it.ask(options=pb.RequestOptions(request_id="r-9"), tenant="acme", seconds=1.0)
    (seen,) = it.providers.seen
    assert (seen.request_id, seen.caller.tenant) == ("r-9", "acme")
    assert seen.deadline == began + 60.0
    assert it.providers.asked[0].request_id == "r-9"


@pytest.mark.parametrize(
    ("model_name", "options", "error"),
    [
        ("gpt-99", None, UnknownModel),
        ("", pb.RequestOptions(policy="cheap"), UnknownPolicy),
        ("gpt-5-mini", pb.RequestOptions(policy="auto"), InvalidRequest),
    ],
)
async def test_unknown_names_are_said_with_the_known_ones(model_name, options, error):
    async with rig() as it:
        outcome = await it.ask(model=model_name, options=options)
    assert isinstance(outcome.error, error)
    if error is UnknownModel:
        assert outcome.error.metadata["known"].split(",") == sorted(
            [PRIMARY, "deepseek-v3", FALLBACK, "claude-opus-5", "claude-opus"]
        )


async def test_a_model_without_an_endpoint_is_no_endpoint_by_name_and_no_candidate_by_policy():
    async with rig() as it:
        it.providers.models = [model(PRIMARY, "deepseek-v3", states=()), *fleet()[1:], model("extra")]
        await it.catalogue._refresh(1.0)
        named = await it.ask(model="deepseek-v3")
        it.providers.models = [model(PRIMARY, states=())]
        await it.catalogue._refresh(1.0)
        chosen = await it.ask("other")
    assert isinstance(named.error, NoEndpoint)
    assert named.error.metadata == {"model": "deepseek-v3"}
    assert named.kinds == ["started", "end"]
    assert isinstance(chosen.error, NoCandidateLeft)


async def test_a_named_model_answers_alone_and_without_a_policy():
    async with rig() as it:
        decision = (await it.ask(model="deepseek-v3")).decision
    assert (decision.strategy, decision.policy, decision.policy_hash, decision.model) == ("fixed", "", "", PRIMARY)
    assert [candidate.model for candidate in decision.candidates] == [PRIMARY]


@pytest.mark.parametrize("kind", ["hit", "miss", "named", "cache away"])
async def test_explain_says_what_complete_then_does(kind):
    name = "deepseek-v3" if kind == "named" else ""
    async with rig() as it:
        it.cache.hit = cached() if kind == "hit" else None
        it.cache.failing = PeerUnavailable(peer="cache") if kind == "cache away" else None
        call_context.enter(caller())
        options = pb.RequestOptions(request_id="r-1")
        asked = pb.ExplainRequest(conversation=talk("hello"), model=name, options=options)
        explained = (await asyncio.create_task(it.pipeline.explain(asked))).decision
        assert it.cache.looked_up[0].peek
        assert it.providers.asked == []
        done = (await it.ask("hello", model=name, options=options)).decision
    if kind != "hit":
        assert (explained.model, len(explained.attempts)) == ("", 0)
        for undone in ("model", "attempts", "usage", "cost", "savings", "feedback_token"):
            done.ClearField(undone)
            explained.ClearField(undone)
    for decision in (explained, done):
        decision.ClearField("steps")
    assert explained == done


async def test_what_a_plan_does_without_is_predicted_while_the_model_works():
    async with rig() as it:
        answered = await it.ask("hello")
    (started,) = (event.started for event in answered.events if event.HasField("started"))
    assert [candidate.evidence for candidate in started.plan] == [0] * len(started.plan)
    assert all(candidate.predicted_quality == 0.5 for candidate in answered.decision.candidates)
    assert len(it.forecaster.asked) == 1


async def test_whatever_goes_wrong_inside_the_flight_ends_with_an_id_and_no_text():
    async with rig() as it:
        it.cache.failing = RuntimeError("the secret sk-123 of prompt hello")  # type: ignore[assignment]
        outcome = await it.ask()
    assert isinstance(outcome.error, Internal)
    assert outcome.kinds == ["end"]
    assert "sk-123" not in it.log.text
    assert it.log.events("flight_failed")[0]["error_id"] == outcome.error.metadata["error_id"]


async def test_each_request_is_counted_and_booked_once_without_its_prompt():
    async with rig() as it:
        await it.ask("What is the airspeed of a swallow?")
        (row,) = it.ledger.rows
        assert "swallow" not in it.log.text + str(row)
    assert (row["model"], row["cost_nanousd"], row["cache"], row["error"]) == (PRIMARY, 700, "miss", "")
    labels = {"strategy": "rule", "task": "simple_qa", "cache": "miss", "reason": ""}
    assert it.registry.get_sample_value("omnisphere_router_requests_total", labels) == 1


async def test_a_task_that_a_caller_made_up_is_no_label():
    policy = 'strategy = "cost_aware"\nreference_model = "claude-opus"\ndefault_task = "made_up"'
    async with rig() as it:
        outcome = await it.ask(options=pb.RequestOptions(inline_policy=policy))
        (row,) = it.ledger.rows
    assert (outcome.decision.task_type, row["task"]) == ("made_up", "made_up")
    labels = {"strategy": "cost_aware", "task": "other", "cache": "miss", "reason": ""}
    assert it.registry.get_sample_value("omnisphere_router_requests_total", labels) == 1


async def test_what_a_given_up_call_cost_is_asked_of_the_providers_and_booked():
    async with rig() as it:
        it.providers.play(PRIMARY, ["a", asyncio.Event()])
        asked = it.ask()
        await settle()
        asked.cancel()
        await settle()
        assert it.ledger.rows == []
        it.clock.advance(0.06)  # the providers have not booked it yet
        await settle()
        it.providers.booked = [attempt(PRIMARY, cost=70)]
        await it.settle_books()
        (row,) = it.ledger.rows
        assert set(it.providers.asked_for) == {it.providers.asked[0].call_id}
    assert (row["error"], row["cost_nanousd"], row["output"], row["attempts"]) == ("CANCELLED", 70, 5, 1)
    assert it.registry.get_sample_value("omnisphere_router_cost_nanousd_total", {"model": ""}) == 70


async def given_up(it: Rig) -> None:
    """A request that its caller leaves in the middle of its answer."""
    it.providers.play(PRIMARY, ["a", asyncio.Event()])
    asked = it.ask()
    await settle()
    asked.cancel()
    await settle()


async def test_what_nobody_says_the_cost_of_is_not_free():
    async with rig() as it:
        await given_up(it)
        await it.settle_books()
        (row,) = it.ledger.rows
    assert (row["error"], row["cost_nanousd"], row["priced"]) == ("CANCELLED", 0, 0)
    assert len(it.providers.asked_for) == 3


async def test_a_call_that_is_over_and_sent_nothing_is_asked_for_once_and_is_free():
    async with rig() as it:
        it.providers.over = True
        await given_up(it)
        await it.settle_books()
        (row,) = it.ledger.rows
    assert (row["cost_nanousd"], row["priced"]) == (0, 1)
    assert len(it.providers.asked_for) == 1


async def test_at_the_stop_requests_are_kept_whose_cost_is_still_asked_for():
    async with rig() as it:
        for _ in range(9):
            await given_up(it)
        assert it.ledger.rows == []
        stopping = asyncio.create_task(it.books.stop())
        it.providers.booked = [attempt(PRIMARY, cost=70)]
        await it.settle_books()
        await stopping
        assert [row["cost_nanousd"] for row in it.ledger.rows] == [70] * 9
        await given_up(it)
        assert [row["priced"] for row in it.ledger.rows[9:]] == [0]


async def test_whose_cost_is_asked_for_keeps_no_answer_from_being_stored():
    async with rig() as it:
        for _ in range(9):
            await given_up(it)
        it.providers.play(PRIMARY, answer("fresh", model=PRIMARY))
        await it.ask("another question")
        await settle()
        assert [stored.reply.message for stored in it.cache.stored if stored.reply.message.parts] == [
            assistant("fresh")
        ]


async def test_a_pipeline_that_stops_ends_what_is_under_way_and_books_it():
    async with rig() as it:
        it.providers.play(PRIMARY, ["a", asyncio.Event()])
        asked = it.ask()
        await settle()
        await it.pipeline.stop()
        it.providers.booked = [attempt(PRIMARY, cost=70)]
        await it.settle_books()
        assert [(row["error"], row["cost_nanousd"]) for row in it.ledger.rows] == [("CANCELLED", 70)]
        asked.cancel()


async def test_requests_that_share_an_answer_have_rows_of_their_own_and_cost_nothing():
    async with rig() as it:
        it.providers.play(PRIMARY, answer("shared", model=PRIMARY))
        options = [pb.RequestOptions(request_id=f"r-{n}") for n in range(3)]
        await asyncio.gather(*(it.ask(options=option) for option in options))
        await it.ask(options=options[0])
        rows = it.ledger.rows
    assert [row["cost_nanousd"] for row in rows] == [700, 0, 0, 0]
    assert [row["output"] for row in rows] == [5, 0, 0, 0]
    assert [(row["shared_with"], row["replayed"]) for row in rows] == [("", 0), ("r-0", 0), ("r-0", 0), ("", 1)]
    assert sum(int(row["routing_savings_nanousd"] or 0) != 0 for row in rows) == 1


async def test_who_shares_an_answer_and_leaves_or_runs_out_of_time_or_fails_is_booked_as_that():
    async with rig() as it:
        gate = asyncio.Event()
        it.providers.play(PRIMARY, ["a", gate, failed(ProviderRejected, PRIMARY)])
        options = [pb.RequestOptions(request_id=f"r-{n}") for n in range(4)]
        asked = [it.ask(options=option) for option in options[:3]]
        await settle()
        asked[1].cancel()
        late = it.ask(options=options[3], seconds=0.021)
        await asyncio.wait([asked[1], late])
        gate.set()
        await asyncio.wait(asked)
        rows = {row["request_id"]: row for row in it.ledger.rows}
    assert [rows[f"r-{n}"]["error"] for n in range(4)] == [
        "PROVIDER_REJECTED",
        "CANCELLED",
        "PROVIDER_REJECTED",
        "DEADLINE_EXCEEDED",
    ]
    assert [rows[f"r-{n}"]["shared_with"] for n in range(4)] == ["", "r-0", "r-0", "r-0"]
    assert {row["finish"] for row in rows.values()} == {"error"}
    assert len(it.ledger.rows) == 4


async def test_the_first_delta_of_an_answer_names_its_model():
    async with rig() as it:
        it.providers.play(PRIMARY, [failed(ProviderUnavailable, PRIMARY)])
        it.providers.play(FALLBACK, answer("a", "b", model=FALLBACK))
        outcome = await it.ask()
    assert [event.delta.model for event in outcome.events if event.HasField("delta")] == [FALLBACK, ""]


async def test_complete_is_the_stream_collected():
    async with rig() as it:
        it.providers.play(PRIMARY, answer("two ", "pieces", model=PRIMARY))
        request = pb.CompleteRequest(conversation=talk("hello"))
        response = await asyncio.create_task(it.service.Complete(request, None))
    assert isinstance(response, pb.CompleteResponse)
    assert response.message == assistant("two pieces")
    assert response.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert response.cost == response.decision.cost
    assert response.decision.task_source == decision_pb2.TASK_SOURCE_DEFAULT


async def test_delivery_that_is_not_known_is_refused():
    async with rig() as it:
        for field in ("on_interruption", "stream_mode"):
            request = pb.StreamCompleteRequest(conversation=talk("hello"))
            setattr(request, field, 99)
            with pytest.raises(InvalidRequest) as caught:
                await anext(aiter(it.service.StreamComplete(request, None)))
            assert caught.value.metadata["field"] == field


async def test_models_without_an_endpoint_are_listed_on_demand_only():
    async with rig() as it:
        it.providers.models = [*fleet(), model("idle", states=())]
        await it.catalogue._refresh(1.0)
        usual = await it.service.ListModels(pb.ListModelsRequest(), None)
        every = await it.service.ListModels(pb.ListModelsRequest(include_uncallable=True), None)
    assert len(every.models) == len(usual.models) + 1


async def test_a_request_is_never_changed():
    conversation = talk(message(chat_pb2.ROLE_SYSTEM, "be brief"), *["turn " + "x" * 50_000] * 5)
    async with rig() as it:
        before = conversation.SerializeToString(deterministic=True)
        assert (await it.ask(conversation)).error is None
    assert it.context.asked
    assert conversation.SerializeToString(deterministic=True) == before


async def test_the_row_of_a_request_carries_its_id_tenant_and_trace():
    async with rig() as it:
        await it.ask(options=pb.RequestOptions(request_id="r-7"), tenant="acme")
        (row,) = it.ledger.rows
    assert (row["request_id"], row["tenant"], len(str(row["trace_id"]))) == ("r-7", "acme", 32)
