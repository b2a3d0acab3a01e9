"""What is refused before anything is called, and what an admitted request is."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import DeadlineExceeded, InvalidRequest, UnknownPolicy
from services.router.admit import admit, check_delivery
from tests.unit.router.samples import POLICIES, admitted, caller, talk


def options(**fields: object) -> pb.RequestOptions:
    return pb.RequestOptions(**fields)  # type: ignore[arg-type]


def control(**fields: object) -> pb.RequestOptions:
    return options(cache=cache_pb.CacheControl(**fields))  # type: ignore[arg-type]


WORD = "1 to 64 of [A-Za-z0-9_.:/-]"
REFUSED = [
    (options(request_id="a b"), "options.request_id", "is not 1 to 128 of [A-Za-z0-9_.:-]"),
    (options(request_id="x" * 129), "options.request_id", "is not 1 to 128 of [A-Za-z0-9_.:-]"),
    (options(task_hint="code review"), "options.task_hint", f"is not {WORD}"),
    (options(region_tags=["eu"] * 17), "options.region_tags", "is not at most 16 words of [A-Za-z0-9_.:/-]"),
    (options(region_tags=[""]), "options.region_tags", "is not at most 16 words of [A-Za-z0-9_.:/-]"),
    (control(tags=["t"] * 17), "options.cache.tags", "is not at most 16 tags of 1 to 64 bytes"),
    (control(tags=["é" * 33]), "options.cache.tags", "is not at most 16 tags of 1 to 64 bytes"),
    (control(ttl=Duration(seconds=-1)), "options.cache.ttl", "is negative"),
    (control(max_age=Duration(nanos=-1)), "options.cache.max_age", "is negative"),
    (control(ttl=Duration(seconds=1 << 60)), "options.cache.ttl", "is not a duration"),
]


@pytest.mark.parametrize(("asked", "field", "problem"), REFUSED, ids=[f"{r[1]} {r[2]}" for r in REFUSED])
def test_options_that_are_refused_name_the_field_and_the_problem(asked, field, problem):
    with pytest.raises(InvalidRequest) as caught:
        admitted(options=asked)
    assert caught.value.metadata == {"field": field, "problem": problem}


def test_the_ends_of_the_ranges_pass():
    admitted(
        options=pb.RequestOptions(
            request_id="A-z_0.9:" * 16,
            task_hint="x" * 64,
            region_tags=["eu/west"] * 16,
            cache=cache_pb.CacheControl(
                tags=["é" * 32] * 16, ttl=Duration(), max_age=Duration(seconds=315_576_000_000)
            ),
        )
    )


def test_a_policy_that_is_no_split_is_itself():
    ask = admitted(options=options(policy="auto"))
    assert (ask.policy.name, ask.split, ask.propensity) == ("auto", "", 1)


def test_a_model_name_is_bounded_and_excludes_a_policy():
    with pytest.raises(InvalidRequest) as long:
        admitted(model="é" * 65)
    assert long.value.metadata == {"field": "model", "problem": "is longer than 128 bytes"}
    with pytest.raises(InvalidRequest) as two:
        admitted(model="gpt-5", options=options(policy="auto"))
    assert two.value.metadata["field"] == "options.policy"


def test_auto_and_empty_are_the_same():
    assert admitted(model="auto").content == admitted().content
    assert admitted(model="auto").model == ""


def test_an_unknown_policy_is_said_with_the_known_ones():
    with pytest.raises(UnknownPolicy) as caught:
        admitted(options=options(policy="x" * 200))
    assert caught.value.metadata == {
        "name": "x" * 64,
        "known": "auto,cascade,cost_aware,local_first,rule,semantic,threshold",
    }


@pytest.mark.parametrize(("left", "admits"), [(None, True), (1.0, True), (0.004, False), (-1.0, False)])
def test_without_time_left_nothing_is_begun(left, admits):
    request = pb.CompleteRequest(conversation=talk("hello"))
    call = caller(deadline=None if left is None else 50.0 + left)
    if admits:
        admit(request, call, POLICIES, now=50.0)
        return
    with pytest.raises(DeadlineExceeded) as caught:
        admit(request, call, POLICIES, now=50.0)
    assert caught.value.metadata == {"step": "admit"}


def test_the_request_id_is_the_callers_then_the_metadatas_then_ours():
    request = pb.CompleteRequest(conversation=talk("hello"))
    ours = admit(request, caller(), POLICIES, now=0.0)
    joined = admit(request, caller(request_id="m-1"), POLICIES, now=0.0)
    request.options.request_id = "r-1"
    given = admit(request, caller(request_id="m-1"), POLICIES, now=0.0)
    assert ours.request_id.startswith("req-")
    assert (joined.request_id, given.request_id) == ("m-1", "r-1")
    assert (ours.repeatable, joined.repeatable, given.repeatable) == (False, False, True)


def test_the_content_is_what_decides_the_answer_and_nothing_else():
    plain = admitted().content
    same = [
        admitted(options=options(request_id="r-1")),
        admitted(model="auto"),
    ]
    other = [
        admitted("other"),
        admitted(tenant="other"),
        admitted(model="gpt-5"),
        admitted(options=options(policy="local_first")),
        admitted(options=options(task_hint="research")),
        admitted(options=options(region_tags=["eu"])),
        admitted(options=control(no_cache=True)),
    ]
    assert {ask.content for ask in same} == {plain}
    assert len({plain, *(ask.content for ask in other)}) == len(other) + 1


def test_a_stream_asks_for_the_same_as_a_call():
    conversation = talk("hello")
    unary = admit(pb.CompleteRequest(conversation=conversation), caller(), POLICIES, now=0.0)
    stream = pb.StreamCompleteRequest(conversation=conversation, on_interruption=pb.ON_INTERRUPTION_RESTART)
    assert admit(stream, caller(), POLICIES, now=0.0).content == unary.content


def test_known_ways_of_delivery_pass():
    for interruption in pb.OnInterruption.values():
        for mode in pb.StreamMode.values():
            check_delivery(pb.StreamCompleteRequest(on_interruption=interruption, stream_mode=mode))
