"""The HTTP edge over plain HTTP: answers, headers, controls, refusals, and callers who hang up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.mesh.edge import (
    CHAT,
    MESSAGES,
    NO_CACHE,
    RESPONSES,
    SIMPLE,
    chat,
    chunks,
    http,
    message,
    question,
    text_of_chunks,
)
from tests.mesh.harness import Mesh


async def test_an_answer_carries_its_decision_in_headers(mesh: Mesh) -> None:
    async with http(mesh) as client:
        answer = await client.post(CHAT, json=chat("Summarise the edge in one line."))
    said = answer.headers
    assert answer.status_code == 200
    assert said["x-omnisphere-model"] == answer.json()["model"] == "gemini-3.8-flash"
    assert (said["x-omnisphere-strategy"], said["x-omnisphere-policy"]) == ("rule", "auto")
    assert (said["x-omnisphere-task"], said["x-omnisphere-cache"]) == ("summarization", "miss")
    assert (said["x-omnisphere-attempts"], said["x-omnisphere-fallbacks"]) == ("1", "0")
    assert said["x-omnisphere-simulated"] == "true"
    assert int(said["x-omnisphere-cost-nanousd"]) > 0
    assert said["x-omnisphere-request-id"] == said["x-request-id"]
    assert answer.json()["id"] == f"chatcmpl-{said['x-request-id']}"


@pytest.mark.parametrize("how", ["header", "body"])
async def test_the_whole_decision_comes_where_it_is_asked_for(mesh: Mesh, how: str) -> None:
    more = {"omnisphere": {"decision": True}} if how == "body" else {}
    headers = {"x-omnisphere-decision": "full"} if how == "header" else {}
    text = f"What is the capital of Peru, by {how}?"
    async with http(mesh) as client:
        whole = (await client.post(CHAT, json=chat(text, **more), headers=headers)).json()
        stream = await client.post(CHAT, json=chat(text, stream=True, **more), headers=headers)
        other = await client.post(MESSAGES, json=message(text, **more), headers=headers)
        events = await client.post(MESSAGES, json=message(text + " Now", stream=True, **more), headers=headers)
    assert whole["omnisphere"]["candidates"][0]["model"] == SIMPLE
    assert chunks(stream.text)[-2]["omnisphere"]["model"] == SIMPLE
    assert other.json()["omnisphere"]["policy"] == "auto"
    assert chunks(events.text)[-2]["omnisphere"]["attempts"][0]["model"] == SIMPLE


async def test_controls_come_as_headers(mesh: Mesh) -> None:
    async with http(mesh) as client:
        hinted = await client.post(CHAT, json=chat("Hint me"), headers={"x-omnisphere-task": "translation"})
        assert hinted.headers["x-omnisphere-task"] == "translation"
        headers = {"cache-control": "only-if-cached"}
        missing = await client.post(CHAT, json=chat("Never asked before"), headers=headers)
        assert (missing.status_code, missing.json()["error"]["code"]) == (504, "not_cached")
        assert missing.headers["x-should-retry"] == "false"
        fresh = await client.post(CHAT, json=chat("Hint me"), headers={"cache-control": "no-cache"})
        assert fresh.headers["x-omnisphere-cache"] == "bypassed"
        late = await client.post(CHAT, json=chat("Too late"), headers={"x-omnisphere-timeout": "0.001"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")


async def test_a_repeated_request_id_replays_the_answer(mesh: Mesh) -> None:
    headers = {"x-omnisphere-request-id": "edge-replay-1", **NO_CACHE}
    async with http(mesh) as client:
        first = await client.post(CHAT, json=chat("Only once, please"), headers=headers)
        upstream = await mesh.upstream_requests()
        second = await client.post(CHAT, json=chat("Only once, please"), headers=headers)
        other = await client.post(CHAT, json=chat("Something else"), headers=headers)
    assert first.json()["choices"] == second.json()["choices"]
    assert second.headers["x-omnisphere-replayed"] == "true"
    assert await mesh.upstream_requests() == upstream
    assert (other.status_code, other.json()["error"]["param"]) == (400, "x-omnisphere-request-id")


async def test_an_idempotency_key_is_a_request_id_and_a_failure_is_not_replayed(mesh: Mesh) -> None:
    headers = {"idempotency-key": '"edge-key-1"', **NO_CACHE}
    body = chat("Once, by its key", model="gpt-5")
    await mesh.fault(kind="status", status=500, model="gpt-5", times=20)
    async with http(mesh) as client:
        failed = await client.post(CHAT, json=body, headers=headers)
        await mesh.no_faults()
        first = await client.post(CHAT, json=body, headers=headers)
        second = await client.post(CHAT, json=body, headers=headers)
    assert (failed.status_code, first.status_code) == (503, 200)
    assert first.headers["x-omnisphere-request-id"] == "edge-key-1"
    assert "x-omnisphere-replayed" not in first.headers
    assert second.headers["x-omnisphere-replayed"] == "true"


async def test_a_conversation_has_a_memory_over_http(mesh: Mesh) -> None:
    headers = {"x-omnisphere-conversation-id": "edge-talk", "x-omnisphere-memory": "auto"}
    async with http(mesh) as client:
        await client.post(CHAT, json=chat("My dog is called Rex. Please remember that."), headers=headers)
        for _ in range(100):  # it is kept behind the answer
            later = await client.post(CHAT, json=chat("What is my dog called?"), headers=headers)
            assert later.headers["x-omnisphere-cache"] == "not_eligible"
            if any("Rex" in str(one) for one in (await mesh.last_upstream())["body"]["messages"]):
                return
            await asyncio.sleep(0.02)
    pytest.fail("the model never heard of Rex")


async def test_limits_come_as_headers(mesh: Mesh) -> None:
    async with http(mesh) as client:
        cheap = await client.post(CHAT, json=chat("Cheaply"), headers={"x-omnisphere-max-cost-nanousd": "1"})
        assert int(cheap.headers["x-omnisphere-cost-nanousd"]) == 0
        nowhere = await client.post(CHAT, json=chat("Where?"), headers={"x-omnisphere-region-tags": "eu, moon"})
        assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (503, "no_candidate_left")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("x-omnisphere-memory", "auto", "x-omnisphere-conversation-id: is needed where memory is AUTO"),
        ("x-omnisphere-memory", "always", "x-omnisphere-memory: is not one of auto, off"),
        (
            "x-omnisphere-max-cost-nanousd",
            "1.5",
            "x-omnisphere-max-cost-nanousd: is not a whole number of at most 18 digits",
        ),
        ("x-omnisphere-max-cost-nanousd", "0", "x-omnisphere-max-cost-nanousd: is not above 0"),
        ("x-omnisphere-region-tags", "é", "x-omnisphere-region-tags: is not at most 16 words of [A-Za-z0-9_.:/-]"),
        ("x-omnisphere-tsak", "research", "x-omnisphere-tsak: is not a known header"),
        ("idempotency-key", "not one", "x-omnisphere-request-id: is not 1 to 128 of [A-Za-z0-9_.:-]"),
    ],
)
async def test_a_header_that_cannot_be_kept_is_refused(mesh: Mesh, name: str, value: str, problem: str) -> None:
    async with http(mesh) as client:
        answer = await client.post(CHAT, json=chat("x"), headers={name.encode(): value.encode()})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, problem)


async def test_tenants_do_not_see_each_others_answers(mesh: Mesh) -> None:
    async with http(mesh) as client:
        for tenant, cache in (("edge-a", "miss"), ("edge-b", "miss")):
            answer = await client.post(CHAT, json=chat("Whose is it?"), headers={"omnisphere-tenant": tenant})
            assert answer.headers["x-omnisphere-cache"] == cache
        bad = await client.post(CHAT, json=chat("x"), headers={"omnisphere-tenant": "not a tenant"})
    assert (bad.status_code, bad.json()["error"]["type"]) == (401, "authentication_error")


async def test_a_policy_is_a_model_name(mesh: Mesh) -> None:
    async with http(mesh) as client:
        answer = await client.post(CHAT, json=chat("By policy", model="policy:local_first"))
        unknown = await client.post(CHAT, json=chat("By policy", model="policy:none_such"))
    assert answer.headers["x-omnisphere-policy"] == "local_first"
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "policy_not_found")
    assert unknown.json()["error"]["param"] == "model"


async def test_a_stream_is_a_whole_answer_in_pieces(mesh: Mesh) -> None:
    async with http(mesh) as client:
        ask = chat("In pieces and whole", stream=True, stream_options={"include_usage": True})
        stream = await client.post(CHAT, json=ask, headers=NO_CACHE)
        whole = (await client.post(CHAT, json=chat("In pieces and whole"), headers=NO_CACHE)).json()
    found = chunks(stream.text)
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["x-omnisphere-plan"].split(",")[0] == SIMPLE
    assert text_of_chunks(found) == whole["choices"][0]["message"]["content"]
    assert found[-1] == "[DONE]"
    assert found[-2]["usage"] == whole["usage"]
    assert found[-3]["choices"][0]["finish_reason"] == "stop"


async def test_a_stream_from_the_cache_knows_its_decision_at_the_head(mesh: Mesh) -> None:
    async with http(mesh) as client:
        await client.post(CHAT, json=chat("Twice, streamed"))
        for _ in range(50):
            stream = await client.post(CHAT, json=chat("Twice, streamed", stream=True))
            if stream.headers.get("x-omnisphere-cache") == "exact_hit":
                break
            await asyncio.sleep(0.02)
    assert stream.headers["x-omnisphere-cache"] == "exact_hit"
    assert stream.headers["x-omnisphere-model"] == SIMPLE
    assert "Twice, streamed" in text_of_chunks(chunks(stream.text))


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "status", "status": 429, "retry_after": "7"}, 429, "rate_limit_exceeded"),
        ({"kind": "status", "status": 500}, 503, "provider_unavailable"),
        ({"kind": "status", "status": 401}, 502, "provider_auth"),
        ({"kind": "content_filter"}, 400, "content_filter"),
        ({"kind": "context_length"}, 400, "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failing_provider_is_a_status_and_a_reason(
    mesh: Mesh, fault: dict[str, Any], status: int, code: str, stream: bool
) -> None:
    await mesh.fault(model="gpt-5", times=20, **fault)
    async with http(mesh) as client:
        answer = await client.post(CHAT, json=chat(f"Fail with {code} {stream}", model="gpt-5", stream=stream))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    if status == 429:
        assert 0 < int(answer.headers["retry-after"]) <= 7
        assert 0 < int(answer.headers["retry-after-ms"]) <= 7_000


async def test_a_stream_names_the_model_that_took_over(mesh: Mesh) -> None:
    await mesh.fault(kind="status", status=500, model=SIMPLE, times=20)
    async with http(mesh) as client:
        stream = await client.post(CHAT, json=chat("Fall back while streaming", stream=True))
        whole = await client.post(CHAT, json=chat("Fall back as a whole"))
    found = chunks(stream.text)
    assert stream.headers["x-omnisphere-plan"] == f"{SIMPLE},gpt-5-mini"
    assert {chunk["model"] for chunk in found[:-1]} == {stream.headers["x-omnisphere-model"]} == {"gpt-5-mini"}
    assert whole.headers["x-omnisphere-model"] == "gpt-5-mini"
    assert whole.headers["x-omnisphere-fallbacks"] == "1"
    assert int(whole.headers["x-omnisphere-attempts"]) >= 2


async def test_a_stream_that_breaks_off_says_so_and_does_not_look_done(mesh: Mesh) -> None:
    await mesh.fault(kind="cut", after_chunks=4, pause_ms=150, model=SIMPLE)
    async with http(mesh) as client:
        stream = await client.post(CHAT, json=chat("Cut me off over HTTP", stream=True))
    found = chunks(stream.text)
    assert stream.status_code == 200
    assert found[-1]["error"]["code"] == "stream_interrupted"
    assert "[DONE]" not in found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
async def test_a_caller_who_hangs_up_ends_the_call_to_the_model(mesh: Mesh, stream: bool, path: str) -> None:
    await mesh.fault(kind="stall" if stream else "slow_first", model=SIMPLE, delay_ms=8_000)
    ask = {CHAT: chat, MESSAGES: message, RESPONSES: question}[path](f"Hang up {stream} {path}", stream=stream)
    asked, given_up = await mesh.upstream_requests(), await _cancelled(mesh)
    async with http(mesh) as client, asyncio.timeout(6):  # the model would take longer
        call = asyncio.create_task(_read(client, path, ask))
        await _above(asked, mesh.upstream_requests)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await _above(given_up, lambda: _cancelled(mesh))


async def test_what_is_wrong_is_named_in_the_callers_terms(mesh: Mesh) -> None:
    image = [{"type": "image_url", "image_url": {"url": "http://example.com/cat.png"}}]
    cases = [
        (CHAT, chat("x", temperature=3), "temperature"),
        (CHAT, chat("x", max_tokens=0), "max_tokens"),
        (CHAT, chat("x", n=2), "n"),
        (CHAT, chat("x", temprature=1), "temprature"),
        (CHAT, chat("x") | {"messages": [{"role": "user", "content": image}]}, "messages[0].content[0].image_url.url"),
        (CHAT, chat("x") | {"messages": []}, "messages"),
        (CHAT, chat("x") | {"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
    ]
    async with http(mesh) as client:
        for path, body, param in cases:
            answer = await client.post(path, json=body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
            assert answer.json()["error"]["message"].startswith(f"{param}: ")
        answer = await client.post(MESSAGES, json=message("x", top_k=3))
        assert answer.status_code == 400
        assert answer.json()["error"] == {"type": "invalid_request_error", "message": "top_k: is not supported"}


async def test_bodies_that_cannot_be_read_are_refused_without_being_quoted(mesh: Mesh) -> None:
    async with http(mesh) as client:
        broken = await client.post(CHAT, content=b'{"messages": [\n  {"secret": oops}]}')
        assert broken.status_code == 400
        assert "line 2, column" in broken.json()["error"]["message"]
        assert "oops" not in broken.text
        empty = await client.post(CHAT)
        assert empty.json()["error"]["message"] == "the body is empty"
        latin = await client.post(CHAT, content='{"model": "é"}'.encode("latin-1"))
        assert latin.json()["error"]["message"] == "the body is not UTF-8"
        lists = await client.post(CHAT, content=b"[]")
        assert lists.json()["error"]["message"] == "the body is not a JSON object"
        large = await client.post(CHAT, content=b"x" * (20 * 1024 * 1024 + 1))
        assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(21):
                yield b" " * (1 << 20)

        streamed = await client.post(MESSAGES, content=endless())
        assert (streamed.status_code, streamed.json()["error"]["type"]) == (413, "request_too_large")
        packed = await client.post(CHAT, content=b"x", headers={"content-encoding": "gzip"})
        assert packed.status_code == 415


async def test_unknown_paths_and_methods_speak_the_dialect_of_the_path(mesh: Mesh) -> None:
    async with http(mesh) as client:
        for path in ("/v1/completions", "/completions/"):
            other = (await client.post(path, json={})).json()["error"]["message"]
            assert "bare prompts are not completed, chats are" in other
        unknown = await client.post("/v1/audio/speech", json={})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_path")
        assert "served are POST /v1/chat/completions, POST /v1/responses, " in unknown.json()["error"]["message"]
        for path in ("/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"):
            message = (await client.post(path, json={})).json()["error"]["message"]
            assert message == "there is nothing under this path; did you mean /v1/chat/completions?"
        batches = await client.post(f"{MESSAGES}/batches", json={})
        assert (batches.status_code, batches.json()["error"]["type"]) == (404, "not_found_error")
        wrong = await client.get(CHAT)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        assert wrong.json()["error"]["code"] == "method_not_allowed"
        preflight = await client.options(
            CHAT, headers={"origin": "https://page", "access-control-request-method": "POST"}
        )
        assert (preflight.status_code, preflight.headers["allow"]) == (405, "POST")
        assert not [name for name in preflight.headers if name.startswith("access-control")]
        head = await client.head("/v1/models")
        assert (head.status_code, head.content) == (200, b"")
        assert (await client.get("/healthz")).json() == {"status": "serving"}


async def test_a_head_without_end_is_cut(mesh: Mesh) -> None:
    host, port = mesh.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /healthz HTTP/1.1\r\n")
    for _ in range(16):
        writer.write(b"x-filler: " + b"y" * 4_096 + b"\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 431")
    writer.close()


async def test_texts_become_vectors(mesh: Mesh) -> None:
    async with http(mesh) as client:
        asked = {"model": "embedding-small", "input": "x", "dimensions": 16}
        answer = await client.post("/v1/embeddings", json=asked)
        tokens = await client.post("/v1/embeddings", json=asked | {"input": [1, 4_000_000_000]})
        too_long = await client.post("/v1/embeddings", json=asked | {"dimensions": 1 << 40})
        chats = await client.post("/v1/embeddings", json=asked | {"model": "gpt-5"})
    assert answer.status_code == 200
    assert (answer.json()["model"], answer.headers["x-omnisphere-model"]) == ("text-embedding-3-small",) * 2
    assert len(answer.json()["data"][0]["embedding"]) == 16
    for refused, param in ((tokens, "input"), (too_long, "dimensions"), (chats, "model")):
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


# "tiktoken is great!", as libraries count it that send tokens to be embedded.
TOKENS = [83, 1609, 5963, 374, 2294, 0]


@pytest.mark.parametrize("given", [TOKENS, [TOKENS], [TOKENS, TOKENS[:2]]])
async def test_tokens_are_embedded_as_the_text_that_they_stand_for(mesh: Mesh, given: list[Any]) -> None:
    texts = ["tiktoken is great!"] if len(given) != 2 else ["tiktoken is great!", "tik"]
    async with http(mesh) as client:
        by_text = await client.post("/v1/embeddings", json={"model": "embedding-small", "input": texts})
        by_tokens = await client.post("/v1/embeddings", json={"model": "embedding-small", "input": given})
    assert (await mesh.last_upstream())["body"]["input"] == texts
    assert by_tokens.json() == by_text.json()


async def test_requests_are_counted_by_route_and_status(mesh: Mesh) -> None:
    async with http(mesh) as client:
        await client.get("/v1/models")
        await client.get("/some/other/path")
    figures = await mesh.router_metrics()
    assert 'omnisphere_http_server_requests_total{route="models",status="200"}' in figures
    assert 'omnisphere_http_server_requests_total{route="other",status="404"}' in figures
    assert 'omnisphere_http_server_request_duration_seconds_count{route="models"}' in figures
    assert "/some/other/path" not in figures


async def _read(client: httpx.AsyncClient, path: str, ask: dict[str, Any]) -> None:
    async with client.stream("POST", path, json=ask) as stream:
        async for _ in stream.aiter_bytes():
            pass


async def _above(before: int, count: Callable[[], Awaitable[int]]) -> None:
    """Returns once the count is higher than before."""
    while True:
        if await count() > before:
            return
        await asyncio.sleep(0.01)


async def _cancelled(mesh: Mesh) -> int:
    """How many calls the simulator saw given up."""
    books = await mesh._simulated("/books")
    return int(books["total"]["interrupted"])
