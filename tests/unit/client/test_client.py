"""A scripted router: what the channel repeats, what raises what, and that half an answer is never whole."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.errors.v1 import error_reason_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere_client import (
    AsyncClient,
    Cancelled,
    Client,
    DeadlineExceeded,
    OmnisphereError,
    RateLimited,
    ServerError,
    StreamInterrupted,
    Unavailable,
    Unimplemented,
    errors,
)
from omnisphere_client import channel as client_channel
from omnisphere_client.version import __version__
from services.chassis import client as chassis
from services.chassis.errors import BY_REASON
from tests.unit.client.scripted import Events, ScriptedRouter, end, served, text

# What costs money, or changes something, is never repeated by the channel.
ONCE = ("Complete", "StreamComplete", "Embed", "RecordFeedback")
AGAIN = ("ListModels", "Explain", "GetUsage")


async def test_the_channel_repeats_what_is_safe_and_nothing_else() -> None:
    router = ScriptedRouter(failures=1)  # more, and the channel throttles its retries
    async with served(router) as target, AsyncClient(target, timeout=5) as client:
        await client.models()
        await client.explain("Hi")
        assert (await client.usage(group_by=["model"]))[0].keys == ("gpt-5",)
        for call in (
            client.complete("Hi"),
            client.stream("Hi").result(),
            client.embed(["a"], model="e"),
            client.feedback("token", 1.0),
        ):
            with pytest.raises(Unavailable):
                await call
    assert {name: router.attempts[name] for name in AGAIN} == dict.fromkeys(AGAIN, 2)
    assert {name: router.attempts[name] for name in ONCE} == dict.fromkeys(ONCE, 1)


async def test_side_methods_give_plain_values() -> None:
    async with served(ScriptedRouter()) as target, AsyncClient(target) as client:
        vectors = await client.embed(["a", "bcd"], model="e")
        await client.feedback("token", 0.5)
    assert vectors.vectors == [[1.0, 0.5], [3.0, 0.5]]


async def test_tenant_and_release_travel_with_every_call() -> None:
    router = ScriptedRouter()
    async with served(router) as target, AsyncClient(target, tenant="red") as client:
        await client.models()
    assert router.metadata["omnisphere-tenant"] == "red"
    assert f"omnisphere-client/{__version__}" in router.metadata["user-agent"]


@pytest.mark.parametrize(
    ("events", "code", "error"),
    [
        ([text(0, "Half"), end(chat_pb2.FINISH_REASON_ERROR)], grpc.StatusCode.UNAVAILABLE, Unavailable),
        ([text(0, "Half"), end(chat_pb2.FINISH_REASON_ERROR)], None, StreamInterrupted),
        ([text(0, "Half")], None, StreamInterrupted),
        ([text(0, "Half")], grpc.StatusCode.RESOURCE_EXHAUSTED, RateLimited),
    ],
    ids=["a failing status", "an end with an error alone", "no end", "no end and a failing status"],
)
async def test_a_stream_that_breaks_off_raises_in_both_clients(
    events: Events, code: grpc.StatusCode | None, error: type[OmnisphereError]
) -> None:
    def in_a_thread(target: str) -> None:
        with Client(target) as client, client.stream("Hi") as stream:
            assert next(stream)
            for _ in range(2):  # it raises again: a loop that goes on cannot take it for the end
                with pytest.raises(error) as caught:
                    next(stream)
                assert caught.value.partial_text == "Half"
            with pytest.raises(error):
                _ = stream.completion

    async with served(ScriptedRouter(events=events, code=code)) as target:
        async with AsyncClient(target) as client, client.stream("Hi") as stream:
            assert await anext(stream)
            for _ in range(2):
                with pytest.raises(error) as caught:
                    await anext(stream)
                assert caught.value.partial_text == "Half"
            with pytest.raises(error):
                _ = stream.completion
        await asyncio.to_thread(in_a_thread, target)


async def test_a_stream_says_when_it_is_asked_too_early_or_too_late() -> None:
    async with served(ScriptedRouter(events=[text(0, "Hi"), end()])) as target, AsyncClient(target) as client:
        stream = client.stream("Hi", restart=True)
        with pytest.raises(RuntimeError, match="has not ended"):
            _ = stream.completion
        with pytest.raises(ValueError, match="restart"):
            stream.texts()
        await anext(stream)
        stream.close()
        with pytest.raises(Cancelled) as caught:
            await anext(stream)
        assert caught.value.partial_text == stream.text == "Hi"


async def test_a_stream_that_is_interrupted_from_outside_cannot_look_finished() -> None:
    router = ScriptedRouter(events=[text(0, "Half")], stalls=True)
    async with served(router) as target, AsyncClient(target) as client:
        stream = client.stream("Hi")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.result(), 0.3)
        await asyncio.wait_for(router.left.wait(), 5)
        with pytest.raises(Cancelled) as caught:
            await stream.result()
        assert caught.value.partial_text == "Half"


async def test_closing_the_client_ends_its_calls_with_an_error_of_its_own() -> None:
    router = ScriptedRouter(events=[text(0, "Half")], stalls=True)
    async with served(router) as target:
        client, threaded = AsyncClient(target), Client(target)
        calls = [
            asyncio.ensure_future(client.complete("Hi")),
            asyncio.ensure_future(client.stream("Hi").result()),
            asyncio.ensure_future(asyncio.to_thread(threaded.complete, "Hi")),
            asyncio.ensure_future(asyncio.to_thread(lambda: threaded.stream("Hi").result())),
        ]
        for _ in calls:
            await asyncio.wait_for(router.arrivals.acquire(), 5)
        await client.close()
        await asyncio.to_thread(threaded.close)
        for call in calls:
            with pytest.raises(Cancelled):
                await call
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.models()
        with pytest.raises(RuntimeError, match="the client is closed"):
            threaded.models()


async def test_an_async_client_may_be_made_before_its_loop_and_outlive_one() -> None:
    router = ScriptedRouter()

    def two_runs(target: str) -> None:
        client = AsyncClient(target, timeout=5)
        asyncio.run(client.models())
        asyncio.run(client.models())
        asyncio.run(client.close())

    async with served(router) as target:
        await asyncio.to_thread(two_runs, target)
    assert router.attempts["ListModels"] == 2


async def test_an_async_client_that_is_used_in_two_running_loops_says_so() -> None:
    async with served(ScriptedRouter()) as target, AsyncClient(target, timeout=5) as client:
        await client.models()
        with pytest.raises(RuntimeError, match="used in another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(client.models()))


@pytest.mark.parametrize("travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.deepcopy])  # noqa: S301
def test_an_error_keeps_what_it_knows_on_its_way_between_processes(travel: Callable[[Any], Any]) -> None:
    error = errors.made("NO_SUCH", "over there", code=grpc.StatusCode.UNAVAILABLE, metadata={"a": "b"}, retry_after=2.0)
    error.partial_text, error.decision = "Half", decision_pb2.Decision(model="m")
    other = travel(error)
    assert type(other) is Unavailable
    assert (str(other), vars(other)) == (str(error), vars(error))


# A forked child that uses the parent's client: gRPC would abort it.
FORKED = """
import os
from omnisphere_client import Client
client = Client("127.0.0.1:1", timeout=1)
if os.fork() == 0:
    try:
        client.models()
    except RuntimeError as error:
        os._exit(7 if "in each process" in str(error) else 1)
    os._exit(1)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


# One that has no channel yet opens it in the child.
FORKED_ASYNC = """
import asyncio, os, sys
from omnisphere_client import AsyncClient
client = AsyncClient(sys.argv[1], timeout=5)
if os.fork() == 0:
    asyncio.run(client.models())
    os._exit(7)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


async def test_an_async_client_that_was_not_used_yet_may_be_forked() -> None:
    async with served(ScriptedRouter()) as target:
        child = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", FORKED_ASYNC, target)
        assert await child.wait() == 7


async def test_a_forked_child_is_told_to_make_its_own_client() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", FORKED)
    assert await child.wait() == 7


async def test_credentials_are_used() -> None:
    router = ScriptedRouter()
    async with served(router, credentials=grpc.local_server_credentials()) as target:
        async with AsyncClient(target, credentials=grpc.local_channel_credentials()) as client:
            await client.models()
        with Client(target, credentials=grpc.local_channel_credentials()) as threaded:
            await asyncio.to_thread(threaded.models)
    assert router.attempts == {"ListModels": 2}


async def test_nobody_at_the_address_is_said_soon() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody answers there
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        async with AsyncClient(target, connect_timeout=0.2) as client:
            with pytest.raises(Unavailable, match=f"no router answers at {target} within 0.2 s"):
                await client.complete("Hi")
            with pytest.raises(DeadlineExceeded):
                await client.complete("Hi", timeout=0.1)
        assert time.monotonic() - began < 5


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            twin = getattr(AsyncClient, name)
            assert inspect.signature(method).parameters == inspect.signature(twin).parameters, name
            if name not in ("stream", "close"):
                assert method.__doc__ == twin.__doc__, name


def test_the_channel_is_set_up_as_every_channel_of_the_mesh() -> None:
    ours = dict(client_channel.options())
    text = inspect.getsource(chassis.open_channel)
    for name, value in ours.items():
        if name not in ("grpc.service_config", "grpc.primary_user_agent"):
            assert f'"{name}"' in text
            assert isinstance(value, int)
    assert text.count('("grpc.') == len(ours) - 1
    assert ours["grpc.keepalive_time_ms"] == chassis.KEEPALIVE_MS
    assert ours["grpc.keepalive_timeout_ms"] == chassis.KEEPALIVE_TIMEOUT_MS
    assert ours["grpc.max_receive_message_length"] == chassis.TRANSPORT_BYTES


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("localhost:50051", "dns:///localhost:50051"),
        ("127.0.0.1:1", "dns:///127.0.0.1:1"),
        ("unix:/run/omnisphere.sock", "unix:/run/omnisphere.sock"),
        ("dns:///router:50051", "dns:///router:50051"),
    ],
)
def test_an_address_means_all_hosts_behind_the_name(target: str, address: str) -> None:
    assert client_channel.address(target) == address


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_what_no_router_would_take_is_refused_at_once(client: type[Client | AsyncClient]) -> None:
    for target in ("", "http://127.0.0.1:50051", "host:50051/v1"):
        with pytest.raises(ValueError, match="is not host:port"):
            client(target)
    for tenant in ("acmé", "a b", "a\n", "x" * 65):
        with pytest.raises(ValueError, match="a tenant is 1 to 64 of"):
            client(tenant=tenant)


def test_every_reason_of_the_contract_has_a_class_of_its_code() -> None:
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values:
        reason = value.name.removeprefix("ERROR_REASON_")
        if reason in BY_REASON:
            error = errors.made(reason, "", code=BY_REASON[reason].code)
            assert (type(error) is ServerError) == (error.code is grpc.StatusCode.INTERNAL), reason


async def test_a_method_that_the_router_lacks_is_unimplemented() -> None:
    async with served(ScriptedRouter()) as target, AsyncClient(target) as client:
        with pytest.raises(Unimplemented) as caught:
            await client.stats()
    assert (caught.value.reason, caught.value.code) == ("UNIMPLEMENTED", grpc.StatusCode.UNIMPLEMENTED)
