"""Conversations, endpoints and clocks that the tests of the providers service share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.errors import ProviderUnavailable
from services.providers.adapters import Target
from services.providers.endpoints import Directory, Endpoint, ModelRow


def text(value: str) -> chat_pb2.Part:
    return chat_pb2.Part(text=value)


def message(role: chat_pb2.Role.ValueType, *parts: chat_pb2.Part, name: str = "") -> chat_pb2.Message:
    return chat_pb2.Message(role=role, parts=parts, name=name)


def user(*parts: str | chat_pb2.Part) -> chat_pb2.Message:
    return message(chat_pb2.ROLE_USER, *(text(part) if isinstance(part, str) else part for part in parts))


def conversation(*messages: chat_pb2.Message, **rest) -> chat_pb2.Conversation:
    return chat_pb2.Conversation(messages=messages or (user("hello"),), **rest)


def generation(model: str = "m", said: chat_pb2.Conversation | None = None) -> pb.Generation:
    return pb.Generation(model=model, request_id="request-1", conversation=said or conversation())


def model_row(name: str = "m", *, aliases: Sequence[str] = (), vendor: str = "v", **rest) -> ModelRow:
    return ModelRow(
        id=name,
        vendor=vendor,
        tier="small",
        window_tokens=8192,
        max_output_tokens=1024,
        aliases=tuple(aliases),
        **rest,
    )


def target(quirks: Iterable[str] = (), model: str = "m") -> Target:
    return Target(model, "own-name", 1024, frozenset(quirks))


def directory(endpoint: Endpoint) -> Directory:
    return Directory(tuple(model_row(name) for name in endpoint.serves), (endpoint,))


class ManualClock:
    """Time that stands still until a test moves it."""

    def __init__(self, wall: float = 1_790_000_000.0) -> None:
        self.now = 100.0
        self.started = wall - self.now

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.started + self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class ScriptedProbe:
    """Answers for some addresses; nobody is at any other."""

    def __init__(self, answers: Mapping[str, tuple[int, bytes]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def get(
        self, url: str, headers: Mapping[str, str], provider: str, *, patience: float
    ) -> tuple[int, bytes, str]:
        self.asked.append(url)
        if url not in self.answers:
            raise ProviderUnavailable(provider=provider, cause="connect", provider_type="transport")
        return (*self.answers[url], "")


# The key of every endpoint in these tests: it must turn up nowhere but in the header of a request.
CANARY = "sk-canary-7f3a9c"
