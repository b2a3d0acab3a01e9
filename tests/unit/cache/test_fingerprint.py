"""Two requests have one fingerprint exactly when the model would be asked the same under the same conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.fingerprint import Asked, digest, fingerprint_of, last_user_text
from tests.unit.cache.samples import query

LEFT_OUT = ("sent_at", "pinned", "cache_breakpoint")


def asked(of: pb.Query, tenant: str = "a", epoch: str = "0") -> Asked:
    return fingerprint_of(of, tenant=tenant, epoch=epoch)


def full_query() -> pb.Query:
    """Every field of the contract set, each kind of part once."""
    made = query(model="m", policy_hash="p", task_hint="t", region_tags=["eu", "us"], simulated=True)
    made.uses_memory = True
    talk = made.conversation
    first = talk.messages[0]
    first.name, first.pinned = "n", True
    first.sent_at.seconds = 5
    parts = first.parts
    parts[0].cache_breakpoint = True
    parts[0].signature.value, parts[0].signature.origin_model = "v", "o"
    parts.add().image.CopyFrom(chat_pb2.Image(data=b"1", media_type="image/png", detail="low"))
    parts.add().image.CopyFrom(chat_pb2.Image(remote_uri="https://example.org/a"))
    parts.add().document.CopyFrom(chat_pb2.Document(data=b"1", media_type="application/pdf", name="n"))
    parts.add().document.CopyFrom(chat_pb2.Document(remote_uri="https://example.org/a"))
    parts.add().tool_call.CopyFrom(chat_pb2.ToolCall(id="1", name="f", arguments_json="{}", arguments_invalid=True))
    result = chat_pb2.ToolResult(tool_call_id="1", name="f", is_error=True, parts=[chat_pb2.Part(text="r")])
    result.parts[0].cache_breakpoint = True
    parts.add().tool_result.CopyFrom(result)
    parts.add().reasoning.CopyFrom(chat_pb2.Reasoning(text="r", redacted=True))
    parts.add(refusal="no")
    talk.tools.add(name="f", description="d", parameters_json="{}", strict=True)
    talk.tool_choice.CopyFrom(chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="f", disable_parallel=True))
    kind = chat_pb2.ResponseFormat.KIND_JSON_SCHEMA
    talk.response_format.CopyFrom(chat_pb2.ResponseFormat(kind=kind, name="n", schema_json="{}", strict=True))
    talk.sampling.CopyFrom(chat_pb2.Sampling(temperature=0, top_p=1, max_output_tokens=5, stop=["s"], seed=0))
    talk.sampling.reasoning_effort = chat_pb2.REASONING_EFFORT_LOW
    talk.vendor_options_json = "{}"
    return made


def changes(message: Message, path: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """(where, how) of each way to change one field at any depth: another value, cleared, one element more or less."""
    for field, value in message.ListFields():
        here = f"{path}.{field.name}"
        if field.name in LEFT_OUT:
            continue
        yield f"{here} cleared", partial(message.ClearField, field.name)
        if field.is_repeated and field.message_type:
            yield f"{here} shorter", partial(value.pop)
            yield f"{here} longer", partial(value.add)
            for number, item in enumerate(value):
                yield from changes(item, f"{here}[{number}]")
        elif field.is_repeated:
            yield f"{here} longer", partial(value.append, "x")
        elif field.message_type:
            yield from changes(value, here)
        else:
            yield here, partial(setattr, message, field.name, other(value))


def other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}x"
    return value + b"x" if isinstance(value, bytes) else value + 1  # type: ignore[operator]


WHERE = [where for where, _ in changes(full_query(), "query")]


def fields_of(kind: Descriptor, seen: set[str]) -> set[str]:
    """All fields that can be reached from a message type of ours, as Type.field."""
    if kind.full_name in seen or not kind.full_name.startswith("omnisphere."):
        return set()
    seen.add(kind.full_name)
    names = {f"{kind.name}.{field.name}" for field in kind.fields}
    return names.union(*(fields_of(field.message_type, seen) for field in kind.fields if field.message_type))


def fields_in(message: Message) -> set[str]:
    """All fields that are set in a message, at any depth."""
    names = set()
    for field, value in message.ListFields():
        names.add(f"{message.DESCRIPTOR.name}.{field.name}")
        if field.message_type:
            names = names.union(*(fields_in(item) for item in (value if field.is_repeated else (value,))))
    return names


def test_the_sample_sets_every_field_of_the_contract():
    assert fields_of(pb.Query.DESCRIPTOR, set()) - fields_in(full_query()) == set()


@pytest.mark.parametrize("where", WHERE)
def test_a_change_of_any_single_field_changes_the_fingerprint(where):
    changed = full_query()
    dict(changes(changed, "query"))[where]()
    before, after = asked(full_query()), asked(changed)
    assert after.fingerprint != before.fingerprint
    assert after.canonical != before.canonical
    if where == "query.conversation.messages[1].parts[0].text":
        assert after.scope == before.scope
    else:
        assert after.scope != before.scope


def test_tenant_and_epoch_are_part_of_it():
    assert len({asked(query(), tenant, epoch).scope for tenant in ("a", "b", "") for epoch in ("0", "1", "11")}) == 9


def test_what_does_not_reach_the_model_is_not_part_of_it():
    marked = query()
    for message in marked.conversation.messages:
        message.sent_at.seconds = 7
        message.pinned = True
        message.parts[0].cache_breakpoint = True
    assert asked(marked) == asked(query())


def test_marks_inside_tool_results_are_not_part_of_it():
    def with_result(*, marked: bool) -> pb.Query:
        made = query()
        part = made.conversation.messages.add(role=chat_pb2.ROLE_TOOL).parts.add()
        part.tool_result.parts.add(text="4", cache_breakpoint=marked)
        return made

    assert asked(with_result(marked=True)) == asked(with_result(marked=False))


def test_a_query_is_left_as_it_was():
    made = full_query()
    made.region_tags[:] = ["us", "eu"]
    before = made.SerializeToString(deterministic=True)
    asked(made)
    assert made.SerializeToString(deterministic=True) == before


def test_order_of_regions_does_not_matter():
    assert asked(query(region_tags=["eu", "us"])) == asked(query(region_tags=["us", "eu"]))


def test_unset_differs_from_an_explicit_zero():
    unset, zero = query(), query()
    unset.conversation.sampling.SetInParent()
    zero.conversation.sampling.temperature = 0.0
    assert asked(unset).fingerprint != asked(zero).fingerprint


@pytest.mark.parametrize(("one", "two"), [("\u00e9", "e\u0301"), ("A", "\uff21"), ("a", "a "), ("a", "A")])
def test_forms_of_a_text_stay_distinct(one, two):
    assert asked(query(one)).fingerprint != asked(query(two)).fingerprint
    assert asked(query(system=one)).scope != asked(query(system=two)).scope


def test_texts_do_not_run_into_each_other():
    assert asked(query("bc", system="a")).fingerprint != asked(query("c", system="ab")).fingerprint
    assert asked(query(model="a", task_hint="bc")).scope != asked(query(model="ab", task_hint="c")).scope


def test_a_picture_alone_differs_from_a_picture_with_an_empty_text():
    bare, texted = pb.Query(), pb.Query()
    for made in (bare, texted):
        made.conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add().image.data = b"1"
    texted.conversation.messages[0].parts.add(text="")
    assert asked(bare).scope != asked(texted).scope


def test_the_last_user_text_is_the_last_text_of_the_users_last_message():
    made = query("first")
    made.conversation.messages[-1].parts.add(text="second")
    made.conversation.messages[-1].parts.add().image.data = b"1"
    assert last_user_text(made) == "second"
    made.conversation.messages.add(role=chat_pb2.ROLE_TOOL).parts.add(text="no")
    made.conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT).parts.add(text="no")
    assert last_user_text(made) == "second"
    made.conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add().image.data = b"1"
    assert last_user_text(made) == ""
    assert last_user_text(pb.Query()) == ""


def test_what_follows_the_last_user_text_is_part_of_the_scope():
    def begun(text: str) -> Asked:
        made = query()
        made.conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT).parts.add(text=text)
        return asked(made)

    assert len({begun("a").scope, begun("b").scope, asked(query()).scope}) == 3


@given(st.tuples(*[st.text(max_size=3)] * 4), st.tuples(*[st.text(max_size=3)] * 4))
def test_equal_fingerprints_mean_equal_requests(one, two):
    def build(texts: tuple[str, ...]) -> Asked:
        return asked(query(texts[0], system=texts[1], model=texts[2]), tenant=texts[3])

    assert (build(one).fingerprint == build(two).fingerprint) == (one == two)
    assert (build(one).canonical == build(two).canonical) == (one == two)
    assert (build(one).scope == build(two).scope) == (one[1:] == two[1:])


def test_canonical_bytes_carry_their_own_digests():
    made = asked(query())
    assert digest(made.canonical) == made


@pytest.mark.parametrize("broken", [b"", b"1234567", b"\xff" * 8, b"\0" * 7 + b"\x05abcd"])
def test_what_is_no_canonical_form_is_refused(broken):
    with pytest.raises(ValueError, match=r"too short|cut off"):
        digest(broken)
