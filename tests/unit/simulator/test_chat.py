"""Answers over HTTP have OpenAI's shape, unary and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.simulator.bank import normalised
from services.simulator.exchange import pieces

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def offered(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names]


async def test_an_answer_has_the_fields_that_openai_clients_read(client, bank):
    prompt = bank.by_id["qa-feb-2023"]
    answer = await client.ask(prompt.text)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-5.6-sol"
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": prompt.right, "refusal": None}
    assert choice["finish_reason"] == "stop"
    used = -(-len(prompt.text) // 4) + 4 + 3
    made = -(-len(prompt.right) // 4)
    assert answer["usage"] == {
        "prompt_tokens": used,
        "completion_tokens": made,
        "total_tokens": used + made,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


async def test_a_stream_is_role_content_finish_usage_and_done(client, bank):
    prompt = bank.by_id["qa-planet-largest"]
    role, *rest = await client.events(prompt.text, stream_options={"include_usage": True})
    assert role["object"] == "chat.completion.chunk"
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    *content, finish, usage, done = rest
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in content)
    assert all(chunk["usage"] is None for chunk in content)
    assert finish["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert usage["choices"] == []
    assert usage["usage"] == (await client.ask(prompt.text))["usage"]
    assert done == "[DONE]"
    assert len({chunk["id"] for chunk in (role, *content, finish, usage)}) == 1


async def test_a_stream_without_the_option_carries_no_usage(client):
    *chunks, done = await client.events("Hello there")
    assert done == "[DONE]"
    assert all("usage" not in chunk for chunk in chunks)


async def test_streamed_pieces_join_to_the_unary_text_for_the_whole_bank(client, bank):
    for prompt in bank.by_id.values():
        unary = await client.ask(prompt.text, "gpt-5-nano")
        events = await client.events(prompt.text, "gpt-5-nano")
        joined = "".join(e["choices"][0]["delta"].get("content") or "" for e in events[:-1])
        assert joined == unary["choices"][0]["message"]["content"]
        assert events[-2]["choices"][0]["finish_reason"] == unary["choices"][0]["finish_reason"]


@pytest.mark.parametrize("text", ["", " ", "a", "  a  b\n\nc ", "駅" * 90, "one two three four five "])
def test_pieces_are_short_and_join_to_the_text(text):
    made = list(pieces(text))
    assert "".join(made) == text
    assert all(0 < len(piece.split()) <= 3 for piece in made if piece.strip())


async def test_an_unknown_prompt_is_answered_as_simulated_and_different_ones_differently(client):
    texts = ["Tell me of the sea " * 5 + end for end in ("today", "tomorrow")]
    first, second = [(await client.ask(text, "gpt-5-mini"))["choices"][0]["message"]["content"] for text in texts]
    assert first != second
    assert "simulated" in first
    assert "gpt-5-mini" in first
    assert normalised(texts[0])[:60] in first
    assert "API key" in first


async def test_the_limit_of_output_tokens_cuts_the_text(client, bank):
    prompt = bank.by_id["sum-bakery"]
    answer = await client.ask(prompt.text, max_tokens=5)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == prompt.right[:20]
    assert answer["usage"]["completion_tokens"] == 5
    newer = await client.ask(prompt.text, max_completion_tokens=6, max_tokens=2)
    assert newer["usage"]["completion_tokens"] == 6


async def test_the_cut_never_splits_a_letter(client, bank):
    answer = await client.ask(bank.by_id["tr-ja-station"].text, max_tokens=1)
    assert answer["choices"][0]["message"]["content"] == "駅"


async def test_a_stop_text_ends_the_answer_before_it(client, bank):
    prompt = bank.by_id["qa-feb-2023"]
    answer = await client.ask(prompt.text, stop=[" because", "never"])
    assert answer["choices"][0]["message"]["content"] == prompt.right.split(" because")[0]
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_a_required_tool_is_called_with_arguments_from_its_schema(client):
    answer = await client.ask("Weather?", tools=[TOOL], tool_choice="required")
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "simulated"}


async def test_a_named_tool_is_the_one_that_is_called(client):
    choice = {"type": "function", "function": {"name": "b"}}
    answer = await client.ask("Go", tools=offered("a", "b"), tool_choice=choice)
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "b"


async def test_offered_tools_are_left_alone_by_an_unknown_prompt_and_by_none(client, bank):
    answer = await client.ask("Weather?", tools=[TOOL])
    assert answer["choices"][0]["finish_reason"] == "stop"
    text = bank.by_id["chat-parcel"].text
    answer = await client.ask(text, tools=offered("order_status"), tool_choice="none")
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_streamed_tool_calls_join_to_the_unary_ones(client, bank):
    text = bank.by_id["chat-two-orders"].text
    tools = offered("order_status")
    whole = (await client.ask(text, tools=tools))["choices"][0]["message"]["tool_calls"]
    assert len(whole) == 2
    assert whole[0]["id"] != whole[1]["id"]
    events = await client.events(text, tools=tools)
    joined: dict[int, dict[str, Any]] = {}
    for event in events[:-1]:
        for part in event["choices"][0]["delta"].get("tool_calls", []):
            if "id" in part:
                assert part["function"]["arguments"] == ""
                joined[part["index"]] = {**part, "function": dict(part["function"])}
            else:
                assert set(part) == {"index", "function"}
                joined[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    assert [{k: v for k, v in call.items() if k != "index"} for call in joined.values()] == whole
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_after_the_results_of_its_tools_the_model_gives_the_right_answer(client, bank):
    prompt = bank.by_id["chat-two-orders"]
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt.text}]
    body = {"model": "sim-tiny-8k", "messages": messages, "tools": offered("order_status")}
    async with client.post(body) as response:
        message = (await response.json())["choices"][0]["message"]
    messages.append(message)
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": "{}"} for call in message["tool_calls"]]
    async with client.post(body) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == prompt.right


async def test_without_parallel_calls_the_tools_are_called_one_after_the_other(client, bank):
    messages: list[dict[str, Any]] = [{"role": "user", "content": bank.by_id["chat-two-orders"].text}]
    tools = offered("order_status")
    body = {"model": "gpt-5", "messages": messages, "tools": tools, "parallel_tool_calls": False}
    asked = []
    for _ in range(2):
        async with client.post(body) as response:
            message = (await response.json())["choices"][0]["message"]
        (call,) = message["tool_calls"]
        asked.append(json.loads(call["function"]["arguments"])["order_id"])
        messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": "{}"}]
    assert asked == ["48213", "48377"]


async def test_a_json_schema_is_obeyed_for_an_unknown_prompt(client):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await client.ask("Any?", response_format=wanted)
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"ok": True}
    answer = await client.ask("Any?", response_format={"type": "json_object"})
    assert json.loads(answer["choices"][0]["message"]["content"])["simulated"] is True


async def test_the_same_request_gets_the_same_answer_from_a_model(client, bank):
    for prompt in list(bank.by_id.values())[::9]:
        one, two = [await client.ask(prompt.text, "qwen3-8b") for _ in range(2)]
        assert one["choices"] == two["choices"]


async def test_content_in_parts_is_read_like_one_text(client, bank):
    prompt = bank.by_id["qa-feb-2023"]
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    parts = [{"type": "text", "text": prompt.text}, image]
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": parts}]}
    async with client.post(body) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == prompt.right
