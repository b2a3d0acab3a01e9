"""What is measured beside what: each path verified once on every target, then loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.mesh import ours, verify
from bench.mesh.load import JSON_HEADERS, Target, framed, windows
from bench.mesh.ours import Running
from bench.mesh.processes import BenchError
from bench.mesh.rig import Rig
from bench.mesh.upstream import MODEL, NAME_THERE, PACED_MODEL, TOKENS
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb

CHAT = "/v1/chat/completions"
NO_CACHE = "cache-control: no-cache"
AT_ONCE = (16, 1)
STREAMS = 100
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Size:
    """How long a window is, and how many there are of each."""

    seconds: float
    rounds: int


def hit(rig: Rig, size: Size) -> Iterator[Row]:
    """The same request again and again, answered from the cache, beside echoes of one hop and two."""
    asked, targets = ours.question(), []
    for name in ("one_process", "bare", "mesh"):
        running: Running = getattr(rig, name)
        targets.append(_whole(name, running, verify.on_the_wire(verify.hit(running.port, asked))))
    targets += [_echo(rig, "echo"), _echo(rig, "echo2")]
    yield from _both("hit", targets, size)


def miss(rig: Rig, size: Size) -> Iterator[Row]:
    """Through all services: the cache is asked and may not answer, the upstream does, the answer is stored."""
    asked, targets = ours.question(miss=True), []
    for name in ("one_process", "mesh"):
        running: Running = getattr(rig, name)
        bytes_ = verify.on_the_wire(verify.miss(running.port, asked))
        targets.append(_whole(name, running, bytes_, miss=True))
    targets.append(_echo(rig, "echo"))
    yield from _both("miss", targets, size)


def stream(rig: Rig, size: Size) -> Iterator[Row]:
    """100 streams at once, beside an echo that sends one token per message.

    The upstream of `stream` hands over all tokens of an answer at once, that of `stream_paced` one every few
    milliseconds; it is measured as well, because it cannot be outrun.
    """
    for path, model, names in (
        ("stream", MODEL, ("one_process", "mesh", "echo", "echo2")),
        ("stream_paced", PACED_MODEL, ("one_process", "mesh")),
    ):
        asked, targets = ours.streamed(model), []
        for name in names:
            running: Running = getattr(rig, name)
            least = verify.stream(running.port, asked, TOKENS)
            targets.append(Target(name, running.port, ours.STREAM, framed(asked), running.pids, least, tokens=TOKENS))
        if path == "stream_paced":
            targets.append(_paced_upstream(rig.paced))
        yield from windows(path, targets, at_once=STREAMS, seconds=size.seconds, rounds=size.rounds)


def providers(rig: Rig, size: Size) -> Iterator[Row]:
    """A small chat through the providers service alone, beside its floors and an echo of the same question."""
    asked = providers_pb.GenerateRequest(generation=ours.generation(MODEL))
    echo = Target("echo", rig.echo.port, ours.COMPLETE, framed(ours.small()), rig.echo.pids, 1)
    targets = []
    for name in ("providers", "constant", "exchange"):
        running: Running = getattr(rig, name)
        length = verify.on_the_wire(verify.generate(running.port, asked))
        targets.append(Target(name, running.port, ours.GENERATE, framed(asked), running.pids, length))
    yield from _both("providers", [*targets, echo], size)


def http(edge: Running, mock: Running, size: Size) -> Iterator[Row]:
    """The HTTP edge, from the cache and through to the upstream, beside that upstream asked directly."""
    targets = [edge_target("edge_hit", edge, cached=True), edge_target("edge_miss", edge, cached=False)]
    body = ours.chat_body(NAME_THERE)
    length, _ = verify.chat(mock.port, CHAT, JSON_HEADERS, body)
    targets.append(Target("upstream", mock.port, CHAT, body, mock.pids, length, JSON_HEADERS, http1=True))
    yield from _both("http", targets, size)


def edge_target(name: str, edge: Running, *, cached: bool) -> Target:
    """Our HTTP edge, asked as any client of OpenAI's would."""
    headers = JSON_HEADERS if cached else (*JSON_HEADERS, NO_CACHE)
    body = ours.chat_body(MODEL)
    for _ in range(100):  # the first answer is stored behind the caller's back
        length, said = verify.chat(edge.http_port, CHAT, headers, body)
        if (said["x-omnisphere-attempts"] == "0") == cached and "x-omnisphere-shared-with" not in said:
            return Target(name, edge.http_port, CHAT, body, edge.pids, length, headers, http1=True)
    raise BenchError(f"{name}: the edge answers with the headers {said}")


def _both(path: str, targets: list[Target], size: Size) -> Iterator[Row]:
    for at_once in AT_ONCE:
        yield from windows(path, targets, at_once=at_once, seconds=size.seconds, rounds=size.rounds)


def _whole(name: str, running: Running, answer_bytes: int, *, miss: bool = False) -> Target:
    return Target(name, running.port, ours.COMPLETE, framed(ours.question(miss=miss)), running.pids, answer_bytes)


def _paced_upstream(paced: Running) -> Target:
    body = ours.chat_body(NAME_THERE, stream=True)
    least = verify.events(paced.port, CHAT, JSON_HEADERS, body, TOKENS)
    return Target("upstream", paced.port, CHAT, body, paced.pids, least, JSON_HEADERS, http1=True, tokens=TOKENS)


def _echo(rig: Rig, name: str) -> Target:
    running: Running = getattr(rig, name)
    return _whole(name, running, verify.on_the_wire(verify.complete(running.port, ours.question())))
