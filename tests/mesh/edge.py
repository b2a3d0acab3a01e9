"""Clients of the HTTP edge as tests use them, and small requests to send with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
from pydantic import BaseModel

from tests.mesh.harness import Mesh

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
NO_CACHE = {"cache-control": "no-cache, no-store"}
# The model that the automatic policy asks for simple questions.
SIMPLE = "deepseek-v3.2"
# One of the simulator's own prompts: the right way to answer it is to call the tool twice.
TWO_ORDERS = "I also placed order 48377. Please compare the delivery dates of orders 48213 and 48377."


class Person(BaseModel):
    """A form for answers."""

    name: str
    age: int


def openai_client(base_url: str) -> openai.AsyncOpenAI:
    """OpenAI's own client, which asks once."""
    return openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="ignored", max_retries=0)


@asynccontextmanager
async def http(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client."""
    async with httpx.AsyncClient(base_url=mesh.base_url, timeout=10) as client:
        yield client


def chat(text: str, **more: Any) -> dict[str, Any]:
    """A chat completion request with one question."""
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **more}


def message(text: str, **more: Any) -> dict[str, Any]:
    """A Messages request with one question."""
    return {"model": "auto", "max_tokens": 500, "messages": [{"role": "user", "content": text}], **more}


def question(text: str, **more: Any) -> dict[str, Any]:
    """A Responses request with one question."""
    return {"model": "auto", "input": text, **more}


def chunks(body: str) -> list[Any]:
    """The JSON documents of an event stream; [DONE] as it is."""
    found: list[Any] = []
    for line in body.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def text_of_chunks(found: list[Any]) -> str:
    """What the chunks of a chat completion say."""
    deltas = [chunk["choices"][0]["delta"] for chunk in found if chunk != "[DONE]" and chunk.get("choices")]
    return "".join(delta.get("content") or "" for delta in deltas)
