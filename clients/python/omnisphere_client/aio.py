"""The client for asynchronous callers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import admin_service_pb2 as admin_pb
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import memory_service_pb2 as memory_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client import channel, errors, memory, options, records
from omnisphere_client.aio_line import Lines
from omnisphere_client.aio_stream import AsyncStream, StreamCall, is_cancelled
from omnisphere_client.completion import Completion
from omnisphere_client.messages import Prompt
from omnisphere_client.options import AskOptions

if TYPE_CHECKING:  # only the type stubs know these names
    from omnisphere.router.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from omnisphere.router.v1.memory_service_pb2_grpc import MemoryServiceAsyncStub
    from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceAsyncStub

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


class AsyncClient:
    """A connection to the router; one for the whole program, in one event loop at a time.

    The arguments and the promises are those of Client.

        async with AsyncClient() as client:
            answer = await client.complete("Translate 'cheese' into French.")
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        tenant: str = "",
        timeout: float = 300.0,
        connect_timeout: float = 10.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._target = target
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._metadata = channel.metadata(tenant)
        where, how = channel.address(target), channel.options()

        def open_channel() -> grpc.aio.Channel:
            if credentials is None:
                return grpc.aio.insecure_channel(where, options=how)
            return grpc.aio.secure_channel(where, credentials, options=how)

        self._lines = Lines(open_channel)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel below, for stubs of your own; in the event loop that uses them."""
        return self._lines.current().channel

    @property
    def _router(self) -> RouterServiceAsyncStub:
        return self._lines.current().router

    @property
    def _admin(self) -> AdminServiceAsyncStub:
        return self._lines.current().admin

    @property
    def _memory(self) -> MemoryServiceAsyncStub:
        return self._lines.current().memory

    async def complete(
        self, prompt: Prompt, *, timeout: float | None = None, **asked: Unpack[AskOptions]
    ) -> Completion:
        """The answer to a question, or to a conversation; the arguments are those of AskOptions."""
        return Completion(await self._call(self._router.Complete, options.request(prompt, asked), timeout))

    def stream(
        self,
        prompt: Prompt,
        *,
        timeout: float | None = None,
        restart: bool = False,
        fast: bool = False,
        **asked: Unpack[AskOptions],
    ) -> AsyncStream:
        """The same answer as it is written; not awaited itself.

        `restart`: an answer that breaks off begins anew with a Restart event, instead of raising StreamInterrupted.
        `fast`: where a policy judges answers before it shows them, show them at once instead.
        """
        request = options.stream_request(prompt, asked, restart=restart, fast=fast)

        async def begin() -> StreamCall:
            left = await self._reach(timeout)
            return self._router.StreamComplete(request, timeout=left, metadata=self._metadata)

        return AsyncStream(begin, restart=restart)

    async def explain(
        self, prompt: Prompt, *, timeout: float | None = None, **asked: Unpack[AskOptions]
    ) -> decision_pb2.Decision:
        """What `complete` would do, without calling a model."""
        return (await self._call(self._router.Explain, options.explain_request(prompt, asked), timeout)).decision

    async def models(self, *, include_uncallable: bool = False, timeout: float | None = None) -> list[model_pb2.Model]:
        """The models that can be asked for, with their prices."""
        request = pb.ListModelsRequest(include_uncallable=include_uncallable)
        return list((await self._call(self._router.ListModels, request, timeout)).models)

    async def usage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        group_by: Sequence[records.Grouping] = (),
        timeout: float | None = None,
    ) -> list[records.UsageRow]:
        """What was used, spent and saved; without a grouping one row with the totals."""
        request = records.usage_request(since, until, group_by)
        return [records.UsageRow.of(row) for row in (await self._call(self._router.GetUsage, request, timeout)).rows]

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str,
        dimensions: int | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> records.Embeddings:
        """Vectors of texts, one each, by an embedding model; of `dimensions` values where it can make shorter ones."""
        request = records.embed_request(texts, model=model, dimensions=dimensions, request_id=request_id)
        return records.Embeddings.of(await self._call(self._router.Embed, request, timeout))

    async def feedback(self, answer: Completion | str, score: float, *, timeout: float | None = None) -> None:
        """Say how good an answer was, from 0 (useless) to 1 (perfect). `answer` may be its feedback token alone."""
        await self._call(self._router.RecordFeedback, records.feedback_request(answer, score), timeout)

    async def invalidate(
        self,
        *,
        entry_id: str = "",
        tag: str = "",
        model: str = "",
        everything: bool = False,
        scope_of_entry_id: str = "",
        new_epoch: bool = False,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> int:
        """Forget the tenant's cached answers that match all that is given; how many there were.

        `scope_of_entry_id`: all that were asked like that entry, up to the last text. `new_epoch`, alone: everything,
        also what a replica that is away now brings back.
        """
        request = records.invalidate_request(
            entry_id=entry_id,
            tag=tag,
            model=model,
            everything=everything,
            scope_of_entry_id=scope_of_entry_id,
            new_epoch=new_epoch,
            dry_run=dry_run,
        )
        return (await self._call(self._admin.Invalidate, request, timeout)).entries

    async def stats(self, *, timeout: float | None = None) -> admin_pb.GetStatsResponse:
        """How full the tenant's cache is, and how often it hits."""
        return await self._call(self._admin.GetStats, admin_pb.GetStatsRequest(), timeout)

    async def remember(
        self,
        texts: str | Sequence[str],
        *,
        conversation_id: str = "",
        tags: Sequence[str] = (),
        ttl: timedelta | None = None,
        timeout: float | None = None,
    ) -> list[str]:
        """Keep facts for a conversation, or for all of the tenant's; their ids. `ttl` None: until forgotten."""
        request = memory.remember_request(texts, conversation_id=conversation_id, tags=tags, ttl=ttl)
        return list((await self._call(self._memory.Remember, request, timeout)).ids)

    async def recall(
        self, query: str, *, conversation_id: str = "", limit: int = 0, timeout: float | None = None
    ) -> list[memory.MemoryItem]:
        """What was kept and answers the query, best first; at most 10, or `limit`."""
        request = memory_pb.RecallRequest(conversation_id=conversation_id, query=query, limit=limit)
        return [memory.MemoryItem.of(item) for item in (await self._call(self._memory.Recall, request, timeout)).items]

    async def forget(
        self, *, conversation_id: str = "", ids: Sequence[str] = (), tag: str = "", timeout: float | None = None
    ) -> int:
        """Forget what matches all that is given; how many items there were."""
        request = memory.forget_request(conversation_id=conversation_id, ids=ids, tag=tag)
        return (await self._call(self._memory.Forget, request, timeout)).items

    async def expand(self, handles: Sequence[str], *, timeout: float | None = None) -> list[chat_pb2.Message]:
        """The turns behind the handles of a decision's `context`: what was cut for the model's window."""
        request = memory_pb.ExpandRequest(handles=handles)
        return list((await self._call(self._memory.Expand, request, timeout)).messages)

    async def close(self) -> None:
        """Close the connection; calls that are on their way end as Cancelled."""
        await self._lines.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, R], request: Q, timeout: float | None) -> R:
        left = await self._reach(timeout)
        try:
            return await method(request, timeout=left, metadata=self._metadata)
        except grpc.aio.AioRpcError as failure:
            raise errors.from_call(failure) from failure
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise errors.closed("client") from None

    async def _reach(self, timeout: float | None) -> float:
        """Wait for the first connection; the seconds that are left for the call. Why: see Client."""
        line = self._lines.current()
        seconds = self._timeout if timeout is None else timeout
        if line.reached:
            return seconds
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(seconds, self._connect_timeout)):
                await line.channel.channel_ready()
            line.reached = True
        except TimeoutError as failure:
            if self._connect_timeout < seconds:
                raise errors.unreached(self._target, self._connect_timeout) from failure
        except grpc.aio.UsageError:  # the channel was closed while it connected
            raise errors.closed("client") from None
        return max(0.0, seconds - (time.monotonic() - began))
