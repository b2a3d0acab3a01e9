"""Deltas and messages are two forms of one answer, however the deltas are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from omnisphere.chat.v1 import chat_pb2
from omnisphere.chat.v1.chat_pb2 import Part, PartDelta
from services.router.collect import Collector, deltas_of

texts = some.text(max_size=30)
signatures = some.none() | some.builds(chat_pb2.Signature, value=some.text(max_size=5), origin_model=some.just("m"))
parts = some.one_of(
    some.builds(Part, text=texts, signature=signatures),
    some.builds(Part, refusal=texts, signature=signatures),
    some.builds(Part, reasoning=some.builds(chat_pb2.Reasoning, text=texts), signature=signatures),
    some.builds(Part, reasoning=some.just(chat_pb2.Reasoning(redacted=True)), signature=signatures),
    some.builds(
        Part,
        tool_call=some.builds(
            chat_pb2.ToolCall,
            id=some.text(min_size=1, max_size=5),
            name=some.text(min_size=1, max_size=5),
            arguments_json=texts,
            arguments_invalid=some.booleans(),
        ),
        signature=signatures,
    ),
    some.builds(
        Part, image=some.builds(chat_pb2.Image, data=some.binary(max_size=9), media_type=some.just("image/png"))
    ),
)
messages = some.builds(chat_pb2.Message, role=some.just(chat_pb2.ROLE_ASSISTANT), parts=some.lists(parts, max_size=5))


def collected(deltas: list[PartDelta]) -> chat_pb2.Message:
    collector = Collector()
    for delta in deltas:
        collector.apply(chat_pb2.Delta(parts=[delta]))
    return collector.message()


def cut(delta: PartDelta, data: some.DataObject) -> list[PartDelta]:
    """The same delta in up to four pieces; what comes once is in the first or the last of them."""
    kind = delta.WhichOneof("content")
    if kind not in ("text", "reasoning", "refusal", "tool_call"):
        return [delta]
    whole = delta.tool_call.arguments_json if kind == "tool_call" else getattr(delta, kind)
    ends = sorted(data.draw(some.lists(some.integers(0, len(whole)), max_size=3)))
    pieces = [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]
    made = []
    for at, piece in enumerate(pieces):
        first, last = at == 0, at == len(pieces) - 1
        fresh = PartDelta(part_index=delta.part_index)
        if kind == "tool_call":
            call = delta.tool_call
            fresh.tool_call.CopyFrom(
                chat_pb2.ToolCallDelta(
                    id=call.id if first else "",
                    name=call.name if first else "",
                    arguments_json=piece,
                    arguments_invalid=call.arguments_invalid and last,
                )
            )
        else:
            setattr(fresh, kind, piece)
        if last and delta.HasField("signature"):
            fresh.signature.CopyFrom(delta.signature)
        made.append(fresh)
    return made


@given(messages)
def test_a_message_survives_its_deltas(message):
    assert collected(deltas_of(message)) == message


@given(messages, some.data())
def test_every_way_of_cutting_gives_the_same_message(message, data):
    pieces = [piece for delta in deltas_of(message) for piece in cut(delta, data)]
    assert collected(pieces) == message


@given(messages, some.data())
def test_pieces_of_different_parts_may_come_mixed(message, data):
    queues = [cut(delta, data) for delta in deltas_of(message)]
    mixed = []
    while any(queues):
        queue = data.draw(some.sampled_from([queue for queue in queues if queue]))
        mixed.append(queue.pop(0))
    assert collected(mixed) == message


def test_a_whole_text_part_keeps_its_text():
    whole = PartDelta(whole=Part(text="all at once", cache_breakpoint=True))
    assert collected([whole]).parts[0] == Part(text="all at once", cache_breakpoint=True)


def test_nothing_is_empty_until_something_comes():
    collector = Collector()
    assert collector.is_empty
    assert collector.message() == chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT)
    collector.apply(chat_pb2.Delta(parts=[PartDelta(text="")]))
    assert not collector.is_empty
