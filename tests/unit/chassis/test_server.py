"""A server from its start to its stop: health, ports, reflection, and the order of the drain."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.server import Server
from services.chassis.settings import StartError
from tests.fakes.log import ReadableLog
from tests.unit.chassis.tiny import NAME, Serving, Tiny, service, serving, settings

Status = health_pb2.HealthCheckResponse
SERVING, NOT_SERVING = Status.SERVING, Status.NOT_SERVING


def server(**fields: object) -> Server:
    return Server(service(Tiny()), settings(**fields), log=ReadableLog(), registry=CollectorRegistry())


@asynccontextmanager
async def plain_channel(port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A channel without a health watch of its own."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


async def health_of(it: Serving, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(it.channel)
    status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status
    return status


@pytest.mark.parametrize("name", ["", "readiness", "liveness", NAME])
async def test_health_is_known_under_each_name(name):
    async with serving() as it:
        assert await health_of(it, name) == SERVING
        watch = health_pb2_grpc.HealthStub(it.channel).Watch(health_pb2.HealthCheckRequest(service=name))
        assert (await watch.read()).status == SERVING
        watch.cancel()


async def test_an_unknown_name_is_not_found_and_a_watch_says_unknown():
    async with serving() as it:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_of(it, "nobody")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health_pb2_grpc.HealthStub(it.channel).Watch(health_pb2.HealthCheckRequest(service="nobody"))
        assert (await watch.read()).status == Status.SERVICE_UNKNOWN
        watch.cancel()


async def test_it_is_alive_but_not_ready_until_the_service_has_started():
    gate = asyncio.Event()
    made = Server(
        replace(service(Tiny()), start=gate.wait),  # type: ignore[arg-type]
        settings(),
        log=ReadableLog(),
        registry=CollectorRegistry(),
    )
    starting = asyncio.create_task(made.start())
    while not made.port:  # noqa: ASYNC110 - another task does it
        await asyncio.sleep(0.001)
    async with plain_channel(made.port) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name, status in (("liveness", SERVING), ("readiness", NOT_SERVING), ("", NOT_SERVING), (NAME, NOT_SERVING)):
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == status
        gate.set()
        await starting
        assert (await stub.Check(health_pb2.HealthCheckRequest(service="readiness"))).status == SERVING
    await made.drain_and_stop()


async def test_the_drain_tells_watchers_first_serves_on_and_flushes_last():
    order: list[str] = []

    async def stop() -> None:
        order.append("service stopped")

    drain = timedelta(milliseconds=80)
    made = Server(
        replace(service(Tiny()), stop=stop), settings(drain=drain), log=ReadableLog(), registry=CollectorRegistry()
    )
    await made.start()
    async with plain_channel(made.port) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(made.drain_and_stop())
        assert (await watch.read()).status == NOT_SERVING
        order.append("watchers told")
        generate = channel.unary_unary(
            f"/{NAME}/Generate",
            request_serializer=pb.GenerateRequest.SerializeToString,
            response_deserializer=pb.GenerateResponse.FromString,
        )
        await generate(pb.GenerateRequest())
        order.append("served on")
        await stopping
    assert order == ["watchers told", "served on", "service stopped"]


async def test_an_open_watch_does_not_hold_the_stop_up():
    made = server(grace=timedelta(seconds=9))
    await made.start()
    async with plain_channel(made.port) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        await watch.read()
        await asyncio.wait_for(made.drain_and_stop(), 1)


async def test_a_call_on_its_way_is_finished_before_the_stop():
    gate, begun = asyncio.Event(), asyncio.Event()

    async def slow(request: pb.GenerateRequest) -> pb.GenerateResponse:
        begun.set()
        await gate.wait()
        return pb.GenerateResponse()

    async with serving(Tiny(unary=slow)) as it:
        call = asyncio.ensure_future(it.stub.Generate(pb.GenerateRequest()))
        await begun.wait()
        stopping = asyncio.create_task(it.server._server.stop(5))
        await asyncio.sleep(0)
        gate.set()
        await call
        await stopping


@pytest.mark.parametrize("field", ["port", "metrics_port"])
async def test_a_port_that_is_taken_is_said_in_one_line(field, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as caught:
            await server(**{field: port}).start()
    kind = "metrics port" if field == "metrics_port" else "port"
    assert str(caught.value) == f"{kind} 127.0.0.1:{port} cannot be opened: Address already in use"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("field", ["port", "metrics_port"])
async def test_a_number_that_is_no_port_is_said_in_one_line(field, capfd):
    with pytest.raises(StartError) as caught:
        await server(**{field: 65_536}).start()
    assert str(caught.value).endswith("127.0.0.1:65536 cannot be opened: not a port")
    assert capfd.readouterr() == ("", "")


async def test_an_address_that_is_not_ours_is_said_in_one_line():
    with pytest.raises(StartError) as caught:
        await server(host="203.0.113.1").start()
    assert "\n" not in str(caught.value)


async def test_two_servers_do_not_share_a_port():
    first = server()
    await first.start()
    with pytest.raises(StartError):
        await server(port=first.port).start()
    await first.drain_and_stop()


async def test_a_service_that_cannot_start_leaves_no_port_open():
    async def fail() -> None:
        raise StartError("no file")

    made = Server(
        replace(service(Tiny()), start=fail), settings(metrics_port=0), log=ReadableLog(), registry=CollectorRegistry()
    )
    with pytest.raises(StartError, match="no file"):
        await made.start()
    for port in (made.port, made.metrics_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("on", [True, False])
async def test_reflection_is_there_where_it_is_wanted(on):
    async with serving(reflection=on) as it:
        stub = reflection_pb2_grpc.ServerReflectionStub(it.channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        if not on:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                [answer async for answer in call]
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            return
        answers = [answer async for answer in call]
    names = {listed.name for listed in answers[0].list_services_response.service}
    assert names == {NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


async def test_figures_are_served_on_a_port_of_their_own():
    async with serving(metrics_port=0) as it:
        await it.stub.Generate(pb.GenerateRequest())

        def read() -> str:
            connection = HTTPConnection("127.0.0.1", it.server.metrics_port, timeout=2)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
            return text

        text = await asyncio.to_thread(read)
    assert f'omnisphere_grpc_server_call_started_total{{method="/{NAME}/Generate"}} 1.0' in text


async def test_without_a_metrics_port_there_is_none():
    async with serving() as it:
        assert it.server.metrics_port == 0


async def test_the_other_loopback_can_be_listened_on():
    made = server(host="::1")
    await made.start()
    async with grpc.aio.insecure_channel(f"[::1]:{made.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=2)).status == SERVING
    await made.drain_and_stop()
