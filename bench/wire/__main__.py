"""python -m bench.wire --data DIR --replay FILE: recorded traffic of real providers through the providers service.

A replay server gives each recording under an address of its own; the service has an endpoint for each, and is asked
over gRPC with what the recording asked, as far as the contract can say it. What came back is a row; `bench.score_wire`
compares the rows with what was expected.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc

from bench import score_wire
from bench.wire import rows
from bench.wire.records import Record, read
from bench.wire.rig import serving
from bench.wire.said import conversation_of, texts_of
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as rpc
from services.router.collect import Collector

_SIZES = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
# No exchange may hang: the service's own limits are far below.
_SECONDS = 60.0


async def asked(records: Sequence[Record], port: int, *, at_once: int) -> list[rows.Row]:
    """The rows of all recordings, in their order."""
    gate = asyncio.Semaphore(at_once)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_SIZES) as channel:
        stub = rpc.ProvidersServiceStub(channel)

        async def one(record: Record) -> rows.Row:
            async with gate:
                return await _row(stub, record)

        return list(await asyncio.gather(*(one(record) for record in records)))


async def _row(stub: rpc.ProvidersServiceAsyncStub, record: Record) -> rows.Row:
    row, collector = rows.empty(record.id), Collector()
    try:
        if record.api == "openai.embeddings":
            row |= rows.vectors(await stub.Embed(_embedding(record), timeout=_SECONDS))
            return row
        generation = pb.Generation(model=record.id, request_id=record.id[:128], conversation=conversation_of(record))
        if not record.stream:
            response = await stub.Generate(pb.GenerateRequest(generation=generation), timeout=_SECONDS)
            return row | rows.said_of(response.message) | rows.ended(response.end)
        async for event in stub.StreamGenerate(pb.StreamGenerateRequest(generation=generation), timeout=_SECONDS):
            if event.HasField("delta"):
                collector.apply(event.delta)
            else:
                row |= rows.ended(event.end)
        row |= rows.said_of(collector.message())
    except grpc.aio.AioRpcError as error:
        row |= rows.said_of(_so_far(collector)) | rows.failed(error)
    return row


def _so_far(collector: Collector) -> chat_pb2.Message:
    """What came before the answer broke off: calls may be half, and are told as text."""
    message = collector.message()
    for part in message.parts:
        if part.HasField("tool_call"):
            part.tool_call.arguments_invalid = True
    return message


def _embedding(record: Record) -> pb.EmbedRequest:
    request = pb.EmbedRequest(model=record.id, request_id=record.id[:128], texts=texts_of(record))
    dimensions = (record.body or {}).get("dimensions")
    if isinstance(dimensions, int) and dimensions > 0:
        request.dimensions = dimensions
    return request


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="bench.wire", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="a folder of <api>.jsonl.gz and faults.jsonl.gz")
    parser.add_argument("--replay", type=Path, required=True, help="the replay server, replay.py")
    parser.add_argument("--predictions", type=Path, help="a file for the rows")
    parser.add_argument("--at-once", type=int, default=8, help="exchanges at the same time")
    arguments = parser.parse_args()
    if not any(arguments.data.glob("*.jsonl.gz")) or not arguments.replay.is_file():
        print(f"no recordings in {arguments.data}, or no replay server at {arguments.replay}", file=sys.stderr)
        return 2
    records = list(read(arguments.data))
    with serving(records, arguments.replay, arguments.data) as service:
        found = asyncio.run(asked(records, service.port, at_once=arguments.at_once))
    if arguments.predictions:
        arguments.predictions.write_text("".join(json.dumps(row) + "\n" for row in found))
    expected = score_wire.expectations(arguments.data)
    if not expected:
        print("no expected values beside the recordings: score the rows with them, python -m bench.score_wire")
    score_wire.show(expected, {row["id"]: row for row in found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
