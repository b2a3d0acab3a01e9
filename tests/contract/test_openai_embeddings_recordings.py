"""The embeddings adapter against recorded traffic of real providers, over real HTTP.

The recordings lie beside a checkout and not in it; without them these tests are skipped.
"""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.errors import ProviderAuth, ProviderRejected, ServiceError, UnknownModel
from services.providers.embed import Embedder
from services.providers.endpoints import Directory, Endpoint, ModelRow
from services.providers.metrics import ProvidersMetrics
from services.providers.patience import Limits
from services.providers.transport import Transport
from tests.contract.recordings import RECORDINGS, records, replaying
from tests.fakes.providers import wired

FILE = "openai.embeddings.jsonl.gz"
pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside this checkout")
ERRORS = {400: ProviderRejected, 401: ProviderAuth, 404: UnknownModel}


@pytest.fixture(scope="module")
async def replayed() -> Any:
    async with replaying(FILE) as port:
        transport = Transport(Limits(connect=2, first_token=5, whole=5, idle=5, total=10, most_bytes=32 << 20))
        yield transport, port
        await transport.close()


def _embedder(transport: Transport, port: int, record_id: str) -> Embedder:
    row = ModelRow(
        id="m", vendor="v", tier="small", window_tokens=8192, max_output_tokens=0, capabilities=("embeddings",)
    )
    endpoint = Endpoint(name="replay", base_url=f"http://127.0.0.1:{port}/{record_id}", serves={"m": "m"})
    return wired(Directory((row,), (endpoint,)), transport, ProvidersMetrics(CollectorRegistry()))[1]


def _request(body: dict[str, Any]) -> pb.EmbedRequest:
    """What was asked, as far as texts can say it: a few recordings ask with tokens."""
    said = body["input"]
    texts = [said] if isinstance(said, str) else [text if isinstance(text, str) else str(text) for text in said]
    return pb.EmbedRequest(model="m", texts=texts, request_id="r")


def _difference(response: pb.EmbedResponse, expected: dict[str, Any]) -> str:
    """Empty when the vectors are those that were expected; else which figure differs."""
    wanted = expected["embeddings"]
    if len(response.embeddings) != wanted["count"]:
        return f"{len(response.embeddings)} vectors"
    if {len(embedding.values) for embedding in response.embeddings} != {wanted["dim"]}:
        return "dimensions"
    first = list(response.embeddings[0].values[:3])
    if first != pytest.approx(wanted["first3"], abs=1e-6):
        return f"values {first}"
    usage = response.attempts[0].usage
    if (usage.input_uncached_tokens, usage.estimated) != (expected["usage"]["input_tokens"], False):
        return "usage"
    return ""


async def test_every_recorded_exchange_is_read_as_it_was_meant(replayed: Any) -> None:
    transport, port = replayed
    wrong, read = {}, 0
    for record in records(FILE):
        expected, embedder = record["expected"], _embedder(transport, port, record["id"])
        try:
            response = await embedder.embed(_request(record["request"]["body"]))
        except ServiceError as error:
            meant = expected["error"] is not None and type(error) is ERRORS.get(expected["error"]["status"])
            difference = "" if meant else f"error {error.reason()} {error.metadata}"
        else:
            difference = "no error" if expected["error"] else _difference(response, expected)
        read += 1
        if difference:
            wrong[record["id"], record["provider"]] = difference
    assert read
    assert not wrong, "\n".join(f"{key}: {value}" for key, value in wrong.items())
