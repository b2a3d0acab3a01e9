"""Each thing that can be wrong with a request is named."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.check_request import check_invalidate, check_look_up, check_store
from services.chassis.errors import InvalidRequest
from tests.unit.cache.samples import query, reply


def refused(check, request) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check(request)
    return caught.value.metadata["field"]


EMPTY = pb.Query(conversation=chat_pb2.Conversation())


@pytest.mark.parametrize(
    ("asked", "field"), [(None, "query"), (pb.Query(), "query.conversation"), (EMPTY, "query.conversation.messages")]
)
def test_a_request_needs_a_query_with_messages(asked, field):
    assert refused(check_look_up, pb.LookUpRequest(query=asked)) == field
    assert refused(check_store, pb.StoreRequest(query=asked, reply=reply())) == field


@pytest.mark.parametrize(
    ("control", "field"),
    [
        (pb.CacheControl(ttl=Duration(seconds=-1)), "control.ttl"),
        (pb.CacheControl(ttl=Duration(nanos=-1)), "control.ttl"),
        (pb.CacheControl(max_age=Duration(seconds=-1)), "control.max_age"),
        (pb.CacheControl(max_age=Duration(nanos=10**9)), "control.max_age"),
        (pb.CacheControl(tags=["t"] * 17), "control.tags"),
        (pb.CacheControl(tags=["t", ""]), "control.tags[1]"),
        (pb.CacheControl(tags=["é" * 33]), "control.tags[0]"),
    ],
)
def test_a_control_that_makes_no_sense_is_named(control, field):
    assert refused(check_look_up, pb.LookUpRequest(query=query(), control=control)) == field
    assert refused(check_store, pb.StoreRequest(query=query(), control=control, reply=reply())) == field


def test_the_largest_control_is_accepted():
    control = pb.CacheControl(ttl=Duration(seconds=10**11), max_age=Duration(), tags=["é" * 32] * 16)
    check_look_up(pb.LookUpRequest(query=query(), control=control))
    check_store(pb.StoreRequest(query=query(), control=control, reply=reply()))


def test_a_store_needs_a_reply():
    assert refused(check_store, pb.StoreRequest(query=query())) == "reply"


@pytest.mark.parametrize("field", ["model", "usage", "cost"])
def test_a_reply_needs_what_the_contract_requires(field):
    answer = reply()
    answer.ClearField(field)
    assert refused(check_store, pb.StoreRequest(query=query(), reply=answer)) == f"reply.{field}"


def test_a_reply_is_the_assistants():
    answer = reply()
    answer.message.role = chat_pb2.ROLE_USER
    assert refused(check_store, pb.StoreRequest(query=query(), reply=answer)) == "reply.message.role"


def test_invalidate_needs_something_that_selects():
    assert refused(check_invalidate, pb.InvalidateRequest(dry_run=True)) == "all"
    for field in ({"entry_id": "e"}, {"tag": "t"}, {"model": "m"}, {"scope_of_entry_id": "e"}, {"all": True}):
        check_invalidate(pb.InvalidateRequest(**field))
        if "all" not in field:
            assert refused(check_invalidate, pb.InvalidateRequest(new_epoch=True, **field)) == "new_epoch"
    check_invalidate(pb.InvalidateRequest(new_epoch=True, all=True))
