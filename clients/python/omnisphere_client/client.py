"""The client for callers with threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar, Unpack, cast

import grpc
from google.protobuf.message import Message

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import admin_service_pb2 as admin_pb
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import memory_service_pb2 as memory_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.admin_service_pb2_grpc import AdminServiceStub
from omnisphere.router.v1.memory_service_pb2_grpc import MemoryServiceStub
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from omnisphere_client import channel, errors, memory, options, records
from omnisphere_client.completion import Completion
from omnisphere_client.messages import Prompt
from omnisphere_client.options import AskOptions
from omnisphere_client.stream import Stream

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


class Client:
    """A connection to the router; one for the whole program, safe to share between threads.

    `target` is host:port; all addresses behind the name are used. `tenant` is whose data it is, where the deployment
    takes the caller's word for it. `timeout` is the seconds that each call may take, unless the call says otherwise;
    `connect_timeout` those until the first connection stands. `credentials` None: plain text, for loopback and
    meshes that encrypt by themselves.

        with Client() as client:
            print(client.complete("Translate 'cheese' into French.").text)

    Every method raises OmnisphereError and its children, and nothing of gRPC's. The channel repeats only calls that
    are safe to repeat, and never a question to a model: give it a `request_id` and repeat it yourself.
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
        self._made_in = channel.process()
        self._reached = False
        self._closed = False
        where, how = channel.address(target), channel.options()
        if credentials is None:
            self._channel = grpc.insecure_channel(where, options=how)
        else:
            self._channel = grpc.secure_channel(where, credentials, options=how)
        self._router = RouterServiceStub(self._channel)
        self._admin = AdminServiceStub(self._channel)
        self._memory = MemoryServiceStub(self._channel)

    @property
    def channel(self) -> grpc.Channel:
        """The channel below, for stubs of your own."""
        return self._channel

    def complete(self, prompt: Prompt, *, timeout: float | None = None, **asked: Unpack[AskOptions]) -> Completion:
        """The answer to a question, or to a conversation; the arguments are those of AskOptions."""
        return Completion(self._call(self._router.Complete, options.request(prompt, asked), timeout))

    def stream(
        self,
        prompt: Prompt,
        *,
        timeout: float | None = None,
        restart: bool = False,
        fast: bool = False,
        **asked: Unpack[AskOptions],
    ) -> Stream:
        """The same answer as it is written.

        `restart`: an answer that breaks off begins anew with a Restart event, instead of raising StreamInterrupted.
        `fast`: where a policy judges answers before it shows them, show them at once instead.
        """
        request = options.stream_request(prompt, asked, restart=restart, fast=fast)
        left = self._reach(timeout)
        return Stream(self._router.StreamComplete(request, timeout=left, metadata=self._metadata), restart=restart)

    def explain(
        self, prompt: Prompt, *, timeout: float | None = None, **asked: Unpack[AskOptions]
    ) -> decision_pb2.Decision:
        """What `complete` would do, without calling a model."""
        return self._call(self._router.Explain, options.explain_request(prompt, asked), timeout).decision

    def models(self, *, include_uncallable: bool = False, timeout: float | None = None) -> list[model_pb2.Model]:
        """The models that can be asked for, with their prices."""
        request = pb.ListModelsRequest(include_uncallable=include_uncallable)
        return list(self._call(self._router.ListModels, request, timeout).models)

    def usage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        group_by: Sequence[records.Grouping] = (),
        timeout: float | None = None,
    ) -> list[records.UsageRow]:
        """What was used, spent and saved; without a grouping one row with the totals."""
        request = records.usage_request(since, until, group_by)
        return [records.UsageRow.of(row) for row in self._call(self._router.GetUsage, request, timeout).rows]

    def embed(
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
        return records.Embeddings.of(self._call(self._router.Embed, request, timeout))

    def feedback(self, answer: Completion | str, score: float, *, timeout: float | None = None) -> None:
        """Say how good an answer was, from 0 (useless) to 1 (perfect). `answer` may be its feedback token alone."""
        self._call(self._router.RecordFeedback, records.feedback_request(answer, score), timeout)

    def invalidate(
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
        return self._call(self._admin.Invalidate, request, timeout).entries

    def stats(self, *, timeout: float | None = None) -> admin_pb.GetStatsResponse:
        """How full the tenant's cache is, and how often it hits."""
        return self._call(self._admin.GetStats, admin_pb.GetStatsRequest(), timeout)

    def remember(
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
        return list(self._call(self._memory.Remember, request, timeout).ids)

    def recall(
        self, query: str, *, conversation_id: str = "", limit: int = 0, timeout: float | None = None
    ) -> list[memory.MemoryItem]:
        """What was kept and answers the query, best first; at most 10, or `limit`."""
        request = memory_pb.RecallRequest(conversation_id=conversation_id, query=query, limit=limit)
        return [memory.MemoryItem.of(item) for item in self._call(self._memory.Recall, request, timeout).items]

    def forget(
        self, *, conversation_id: str = "", ids: Sequence[str] = (), tag: str = "", timeout: float | None = None
    ) -> int:
        """Forget what matches all that is given; how many items there were."""
        request = memory.forget_request(conversation_id=conversation_id, ids=ids, tag=tag)
        return self._call(self._memory.Forget, request, timeout).items

    def expand(self, handles: Sequence[str], *, timeout: float | None = None) -> list[chat_pb2.Message]:
        """The turns behind the handles of a decision's `context`: what was cut for the model's window."""
        request = memory_pb.ExpandRequest(handles=handles)
        return list(self._call(self._memory.Expand, request, timeout).messages)

    def close(self) -> None:
        """Close the connection; calls that are on their way end as Cancelled."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Q, R], request: Q, timeout: float | None) -> R:
        left = self._reach(timeout)
        try:
            return method(request, timeout=left, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise errors.from_call(cast("grpc.Call", failure)) from failure

    def _reach(self, timeout: float | None) -> float:
        """Wait for the first connection; the seconds that are left for the call.

        Calls wait for a router that restarts, all their time if need be. One that was never there is a mistake in
        the address, which a person wants to hear of soon.
        """
        channel.check_process(self._made_in)
        if self._closed:
            raise RuntimeError("the client is closed")
        seconds = self._timeout if timeout is None else timeout
        if self._reached:
            return seconds
        began = time.monotonic()
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout=min(seconds, self._connect_timeout))
            self._reached = True
        except grpc.FutureTimeoutError as failure:
            if self._connect_timeout < seconds:
                raise errors.unreached(self._target, self._connect_timeout) from failure
        finally:
            ready.cancel()
        return max(0.0, seconds - (time.monotonic() - began))
