"""Every kind of fault does on the wire what its name says, and is booked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from services.simulator.faults import Fault, FaultKind

PROMPT = "Tell me a short story about a lighthouse."
HANGING = 0.15


def request(*, stream: bool) -> dict[str, Any]:
    return {"model": "gpt-5", "messages": [{"role": "user", "content": PROMPT}], "stream": stream}


async def read(client, *, stream: bool) -> tuple[int, str]:
    async with client.post(request(stream=stream)) as response:
        return response.status, (await response.read()).decode()


async def read_broken(client, *, stream: bool, patience: float = HANGING) -> list[bytes]:
    """What came, piece by piece, before the connection broke or the patience ended."""
    came: list[bytes] = []
    async with client.post(request(stream=stream)) as response:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await asyncio.wait_for(collect(response, came), patience)
    return came


async def collect(response: aiohttp.ClientResponse, came: list[bytes]) -> None:
    async for chunk in response.content.iter_any():
        came.append(chunk)  # noqa: PERF401 - what came before the error must not be lost


def account(simulator):
    return simulator.books.account("gpt-5")


@pytest.fixture
def settled(simulator, until):
    """The account once the server has seen the client go."""

    async def wait():
        await until(lambda: account(simulator).requests == account(simulator).interrupted)
        return account(simulator)

    return wait


async def test_a_status_fault_answers_that_status_with_retry_after_and_is_used_up(client, simulator):
    await client.fault(kind="status", model="gpt-5", status=429, retry_after=2, times=2)
    for stream in (False, True):
        async with client.post(request(stream=stream)) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "2"
            assert (await response.json())["error"]["code"] == "rate_limit_exceeded"
    status, _ = await read(client, stream=False)
    assert status == 200
    assert (account(simulator).failed, account(simulator).completed) == (2, 1)


async def test_a_fault_for_another_model_waits_for_it(client):
    await client.fault(kind="status", model="gpt-5-nano")
    assert (await read(client, stream=False))[0] == 200
    assert "error" in await client.ask(PROMPT, "gpt-5-nano")


@pytest.mark.parametrize("stream", [False, True])
async def test_reset_closes_the_connection_without_an_answer(client, simulator, stream):
    # The client repeats a POST on a reused connection by itself, so this one is the first.
    simulator.faults.add(Fault(FaultKind.RESET))
    with pytest.raises(aiohttp.ClientConnectionError):
        await read(client, stream=stream)
    assert account(simulator).interrupted == 1


async def test_silence_never_answers_and_ends_when_the_client_hangs_up(client, settled):
    await client.fault(kind="silence")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(HANGING):
            await read(client, stream=True)
    assert (await settled()).interrupted_output_tokens == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_slow_first_delays_the_first_byte_and_then_completes(client, simulator, stream):
    await client.fault(kind="slow_first", delay_ms=120)
    started = asyncio.get_running_loop().time()
    async with client.post(request(stream=stream)) as response:
        assert asyncio.get_running_loop().time() - started >= 0.12
        await response.read()
    assert account(simulator).completed == 1


async def test_cut_breaks_a_stream_after_that_many_chunks(client, settled):
    await client.fault(kind="cut", after_chunks=3)
    text = b"".join(await read_broken(client, stream=True)).decode()
    assert text.count("data: ") == 3
    books = await settled()
    assert books.interrupted == 1
    assert books.interrupted_output_tokens == 5  # "This is a simulated"
    assert books.cost_nanousd == books.output_tokens == 0


async def test_cut_never_lets_the_finish_through(client):
    await client.fault(kind="cut", after_chunks=1000)
    assert 'finish_reason":"stop' not in b"".join(await read_broken(client, stream=True)).decode()


async def test_cut_breaks_a_unary_body_in_half(client):
    await client.fault(kind="cut")
    text = b"".join(await read_broken(client, stream=False)).decode()
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


@pytest.mark.parametrize("kind", ["cut", "stall"])
async def test_no_chunk_at_all_still_sends_the_header(client, settled, kind):
    await client.fault(kind=kind, after_chunks=0)
    assert await read_broken(client, stream=True) == []
    assert (await settled()).interrupted == 1


async def test_clean_cut_ends_well_but_without_finish_and_done(client, simulator):
    await client.fault(kind="clean_cut", after_chunks=4)
    status, text = await read(client, stream=True)
    assert status == 200
    assert text.count("data: ") == 4
    assert "[DONE]" not in text
    assert account(simulator).interrupted == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_stall_sends_a_beginning_and_keeps_the_connection(client, settled, stream):
    await client.fault(kind="stall")
    assert await read_broken(client, stream=stream)
    assert (await settled()).interrupted_output_tokens > 0


async def test_malformed_puts_a_broken_chunk_into_the_stream(client, simulator):
    await client.fault(kind="malformed", after_chunks=3)
    _, text = await read(client, stream=True)
    rows = [row.removeprefix("data: ") for row in text.split("\n\n") if row]
    with pytest.raises(json.JSONDecodeError):
        json.loads(rows[3])
    assert rows[-1] == "[DONE]"
    assert account(simulator).interrupted == 1


async def test_malformed_sends_half_of_a_unary_body_as_if_it_were_whole(client, simulator):
    await client.fault(kind="malformed")
    status, text = await read(client, stream=False)
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    assert account(simulator).interrupted == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_empty_body_is_a_200_without_a_byte(client, simulator, stream):
    await client.fault(kind="empty_body")
    assert await read(client, stream=stream) == (200, "")
    assert account(simulator).interrupted == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_html_is_a_gateway_page(client, simulator, stream):
    await client.fault(kind="html")
    await client.fault(kind="html", status=502)
    for status in (200, 502):
        async with client.post(request(stream=stream)) as response:
            assert (response.status, response.content_type) == (status, "text/html")
            assert "<html>" in await response.text()
    assert (account(simulator).interrupted, account(simulator).failed) == (1, 1)


async def test_no_done_ends_after_the_finish_chunk(client, simulator):
    await client.fault(kind="no_done")
    body = {**request(stream=True), "stream_options": {"include_usage": True}}
    async with client.post(body) as response:
        text = await response.text()
    last = json.loads(text.split("\n\n")[-2].removeprefix("data: "))
    assert last["choices"][0]["finish_reason"] == "stop"
    assert account(simulator).interrupted_output_tokens > 20


async def test_error_event_ends_the_stream_with_an_error(client, simulator):
    await client.fault(kind="error_event", after_chunks=3)
    _, text = await read(client, stream=True)
    rows = [json.loads(row.removeprefix("data: ")) for row in text.split("\n\n") if row]
    assert len(rows) == 4
    assert rows[-1]["error"]["type"] == "server_error"
    assert account(simulator).interrupted == 1


async def test_error_event_in_a_unary_answer_is_an_error_inside_a_200(client):
    await client.fault(kind="error_event")
    status, text = await read(client, stream=False)
    assert (status, "error" in json.loads(text)) == (200, True)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("content_filter", "content_filter"), ("context_length", "context_length_exceeded")],
)
async def test_refusals_by_the_provider_are_400s_with_their_code(client, simulator, kind, code):
    await client.fault(kind=kind)
    status, text = await read(client, stream=True)
    assert (status, json.loads(text)["error"]["code"]) == (400, code)
    assert account(simulator).failed == 1


async def test_drip_sends_single_bytes_slowly(client, settled):
    await client.fault(kind="drip")
    came = await read_broken(client, stream=True, patience=0.35)
    assert b"".join(came) in b"data: "
    assert 2 <= len(came) <= 5
    assert (await settled()).interrupted == 1


async def test_faults_are_listed_and_can_be_forgotten(client):
    await client.fault(kind="drip", times=3)
    (fault,) = (await client.get("/faults"))["faults"]
    assert (fault["kind"], fault["times"], fault["model"]) == ("drip", 3, "*")
    async with client.session.delete("/faults") as response:
        assert await response.json() == {"faults": []}


async def test_every_kind_of_fault_leaves_a_server_that_still_answers(client, simulator):
    for kind in FaultKind:
        for stream in (False, True):
            simulator.faults.add(Fault(kind))
            try:
                async with asyncio.timeout(0.03):
                    await read(client, stream=stream)
            except (TimeoutError, aiohttp.ClientError):
                pass
            simulator.faults.clear()
    assert (await client.get("/healthz"))["status"] == "ok"
