"""Each path answered once by a real client that reads the status, before it is measured.

What comes back is the size of the answer as it was on the wire: windows of load are held to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message

from bench.mesh.processes import BenchError
from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.providers.v1.providers_service_pb2_grpc import ProvidersServiceStub
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub

_SECONDS = 20.0
_FRAME = 5  # gRPC's flag and length before each message
_WORDS = "The capital of France is Paris."


def complete(port: int, request: pb.CompleteRequest) -> pb.CompleteResponse:
    """One whole answer of the upstream's words, ended well. Raises BenchError."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer: pb.CompleteResponse = RouterServiceStub(channel).Complete(
                request, timeout=_SECONDS, wait_for_ready=True
            )
        except grpc.RpcError as failure:
            raise BenchError(f"Complete on port {port} failed: {failure}") from failure
    text = "".join(part.text for part in answer.message.parts)
    if answer.finish_reason != chat_pb2.FINISH_REASON_STOP or not text.startswith(_WORDS):
        raise BenchError(f"Complete on port {port} answered {text[:80]!r}, finish reason {answer.finish_reason}")
    return answer


def generate(port: int, request: providers_pb.GenerateRequest) -> providers_pb.GenerateResponse:
    """One whole answer of the providers service. Raises BenchError."""
    answer: providers_pb.GenerateResponse
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = ProvidersServiceStub(channel).Generate(request, timeout=_SECONDS, wait_for_ready=True)
        except grpc.RpcError as failure:
            raise BenchError(f"Generate on port {port} failed: {failure}") from failure
    text = "".join(part.text for part in answer.message.parts)
    if not text.startswith(_WORDS) or len(answer.end.attempts) != 1:
        raise BenchError(f"Generate on port {port} answered {text[:80]!r}")
    return answer


def hit(port: int, request: pb.CompleteRequest) -> pb.CompleteResponse:
    """Asked until the cache answers: the first answer is stored behind the caller's back."""
    for _ in range(100):
        answer = complete(port, request)
        if answer.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT:
            return answer
    raise BenchError(f"port {port} never answered from its cache")


def miss(port: int, request: pb.CompleteRequest) -> pb.CompleteResponse:
    """Answered by the upstream, in one attempt of its own."""
    answer = complete(port, request)
    if len(answer.decision.attempts) != 1 or answer.decision.shared_with_request_id:
        raise BenchError(f"port {port} did not ask the upstream: {answer.decision}")
    return answer


def stream(port: int, request: pb.StreamCompleteRequest, tokens: int) -> int:
    """One stream of exactly so many tokens and its end; the bytes of its messages without those of their frames.

    Only what every stream must carry is counted: how many messages it takes depends on how the upstream's bytes fall.
    """
    text, end = "", pb.End()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            for event in RouterServiceStub(channel).StreamComplete(request, timeout=_SECONDS, wait_for_ready=True):
                text += "".join(part.text for part in event.delta.parts)
                if event.HasField("end"):
                    end = event.end
        except grpc.RpcError as failure:
            raise BenchError(f"StreamComplete on port {port} failed: {failure}") from failure
    if end.finish_reason != chat_pb2.FINISH_REASON_STOP or text != " token" * tokens:
        raise BenchError(f"a stream of port {port} has {text.count('token')} tokens, finish reason {end.finish_reason}")
    return len(text) + end.ByteSize()


def on_the_wire(message: Message) -> int:
    """The size of the body that carries it."""
    return message.ByteSize() + _FRAME


def chat(port: int, route: str, headers: tuple[str, ...], body: bytes) -> tuple[int, Mapping[str, str]]:
    """One chat completion over HTTP/1.1; the size of its body, and its headers. Raises BenchError."""
    response = _post(port, route, headers, body)
    try:
        answer: Any = response.json()
        choice = answer["choices"][0]
        good = response.status_code == 200 and choice["finish_reason"] == "stop"
        good = good and choice["message"]["content"].startswith(_WORDS)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        good = False
    if not good:
        raise BenchError(f"port {port} answered {response.status_code}: {response.text[:300]}")
    return len(response.content), {name.lower(): value for name, value in response.headers.items()}


def events(port: int, route: str, headers: tuple[str, ...], body: bytes, tokens: int) -> int:
    """One chat completion as server-sent events, of exactly so many tokens; the size of its body. Raises BenchError."""
    response = _post(port, route, headers, body)
    carried = response.text.count('"delta":{"content":" token"}')
    if response.status_code != 200 or carried != tokens or not response.text.endswith("data: [DONE]\n\n"):
        raise BenchError(f"a stream of port {port} has {carried} tokens, status {response.status_code}")
    return len(response.content)


def _post(port: int, route: str, headers: tuple[str, ...], body: bytes) -> httpx.Response:
    sent = dict(line.split(": ", 1) for line in headers)
    try:
        with httpx.Client(trust_env=False, timeout=_SECONDS) as client:  # a proxy has no business here
            return client.post(f"http://127.0.0.1:{port}{route}", content=body, headers=sent)
    except httpx.HTTPError as failure:
        raise BenchError(f"port {port} did not answer: {failure!r}") from failure
