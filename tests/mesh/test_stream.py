"""Answers as streams: the order of events, and that an answer which breaks off can never look finished."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import StreamInterrupted
from tests.mesh.harness import Mesh, asking, text_of


def _request(text: str, **more: object) -> pb.StreamCompleteRequest:
    return pb.StreamCompleteRequest(conversation=asking(text), **more)  # type: ignore[arg-type]


def _kinds(events: list[pb.StreamCompleteResponse]) -> list[str]:
    """The kinds of events, runs of deltas as one."""
    kinds: list[str] = []
    for event in events:
        kind = str(event.WhichOneof("event"))
        if not (kind == "delta" and kinds and kinds[-1] == "delta"):
            kinds.append(kind)
    return kinds


def _text(events: list[pb.StreamCompleteResponse]) -> str:
    """What the caller holds at the end: a restart voids what came before."""
    text = ""
    for event in events:
        text = "" if event.HasField("restart") else text + "".join(part.text for part in event.delta.parts)
    return text


async def test_a_stream_is_started_deltas_and_one_end(mesh: Mesh) -> None:
    events, error = await mesh.stream(_request("Stream me a line about rivers"))
    assert error is None
    assert _kinds(events) == ["started", "delta", "end"]
    indexes = [event.delta.index for event in events if event.HasField("delta")]
    assert indexes == list(range(len(indexes)))
    end = events[-1].end
    assert end.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert end.usage.output_tokens > 0
    assert end.cost.priced
    assert end.decision.attempts[0].HasField("time_to_first_token")
    assert events[0].started.request_id == end.decision.request_id
    assert events[0].started.plan[0].model == end.decision.model


async def test_a_stream_and_a_unary_call_give_the_same_answer(mesh: Mesh) -> None:
    options = pb.RequestOptions()
    options.cache.no_cache = options.cache.no_store = True
    events, _ = await mesh.stream(_request("Same answer, both ways?", options=options))
    response = await mesh.complete("Same answer, both ways?", options=options)
    assert _text(events) == text_of(response.message)
    assert events[-1].end.usage == response.usage
    assert events[-1].end.cost == response.cost


async def test_a_stream_that_breaks_off_ends_with_an_error_after_its_end_event(mesh: Mesh) -> None:
    await mesh.fault(kind="cut", after_chunks=4, pause_ms=150, model="deepseek-v3.2")
    events, error = await mesh.stream(_request("Cut me off, and say so"))
    assert isinstance(error, StreamInterrupted)
    assert _kinds(events) == ["started", "delta", "end"]
    end = events[-1].end
    assert end.finish_reason == chat_pb2.FINISH_REASON_ERROR
    assert [attempt.outcome for attempt in end.decision.attempts] == [attempt_pb2.ATTEMPT_OUTCOME_INTERRUPTED]
    assert end.usage.estimated


async def test_a_caller_who_takes_a_restart_gets_a_whole_answer(mesh: Mesh) -> None:
    await mesh.fault(kind="clean_cut", after_chunks=4, pause_ms=150, model="deepseek-v3.2")
    request = _request("Cut me off, and start again", on_interruption=pb.ON_INTERRUPTION_RESTART)
    events, error = await mesh.stream(request)
    assert error is None
    assert _kinds(events) == ["started", "delta", "restart", "delta", "end"]
    restart = next(event.restart for event in events if event.HasField("restart"))
    assert (restart.reason, restart.attempt) == ("STREAM_INTERRUPTED", 2)
    end = events[-1].end
    assert "gpt-5-mini" in _text(events)
    assert end.decision.model == "gpt-5-mini"
    assert end.decision.fallbacks == 1
    assert [attempt.number for attempt in end.decision.attempts] == [1, 2]


async def test_an_interrupted_answer_is_not_stored(mesh: Mesh) -> None:
    await mesh.fault(kind="clean_cut", after_chunks=4, pause_ms=150, model="deepseek-v3.2")
    await mesh.stream(_request("Cut me off, and do not keep it"))
    response = await mesh.complete("Cut me off, and do not keep it")
    assert response.decision.attempts
    assert response.finish_reason == chat_pb2.FINISH_REASON_STOP


async def test_unary_calls_are_given_whole_answers_only(mesh: Mesh) -> None:
    await mesh.fault(kind="malformed", model="deepseek-v3.2")
    response = await mesh.complete("Break my body, unary")
    assert response.decision.model == "gpt-5-mini"
    assert response.decision.fallbacks == 1
