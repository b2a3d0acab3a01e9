"""Reject what can never succeed, before anything is called: the first step of every request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.errors import DeadlineExceeded, InvalidRequest, UnknownPolicy
from services.router import conversation_rules
from services.router.policy import Drawn, Policy, drawn, inline_policy
from services.router.tasks.classify import last_user_text

AUTO = "auto"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_WORD = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_MOST_TAGS = 16
# Above it answers are meant to differ, so everybody gets one of their own.
SHARED_TEMPERATURE = 0.3
_MOST_MODEL_BYTES = 128
_MOST_CONVERSATION_ID_BYTES = 128
# https://protobuf.dev/reference/protobuf/google.protobuf/#duration
_LONGEST_SECONDS = 315_576_000_000
# With less time than this nothing can be done, and the refusal would not reach the caller.
_LEAST_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Ask:
    """One admitted request. `model` is the name asked for, empty when the policy chooses."""

    tenant: str
    request_id: str
    # The caller gave the id for idempotency; one from metadata only joins log lines.
    repeatable: bool
    conversation: chat_pb2.Conversation
    # The kinds of parts that its messages have.
    kinds: frozenset[str]
    model: str
    policy: Policy
    # The policy from which `policy` was drawn, and how probable that was; empty and 1: it was asked for itself.
    split: str
    propensity: float
    options: pb.RequestOptions
    # Whether a request with the same content may share the answer.
    shareable: bool
    # The digest of everything that decides what the answer may be; not who asks when, or how it is delivered.
    # Empty where neither sharing nor an id needs it.
    content: bytes

    @property
    def policy_hash(self) -> str:
        """The content hash of the policy that chooses; empty where the caller named a model."""
        return "" if self.model else self.policy.content_hash

    @property
    def prompt(self) -> str:
        """What its hash in the ledger is made of."""
        return last_user_text(self.conversation)

    @property
    def control(self) -> cache_pb.CacheControl:
        """What the cache may do."""
        return self.options.cache


def admit(
    request: pb.CompleteRequest | pb.StreamCompleteRequest | pb.ExplainRequest,
    call: CallContext,
    policies: Mapping[str, Policy],
    *,
    now: float,
) -> Ask:
    """The request, checked. Raises InvalidRequest, UnknownPolicy or DeadlineExceeded."""
    check_time(call, now)
    options = request.options
    model = "" if request.model == AUTO else request.model
    check_model(model)
    if model and options.policy:
        raise InvalidRequest(field="options.policy", problem="goes together with the model auto only")
    if options.inline_policy and (model or options.policy):
        raise InvalidRequest(field="options.inline_policy", problem="goes without a model and a policy only")
    _check_options(options)
    request_id = options.request_id or call.request_id or call_context.new_request_id()
    chosen = _policy(options, policies, f"{call.caller.tenant}/{options.conversation_id or request_id}")
    kinds = conversation_rules.check(request.conversation)
    policy, shared = chosen.policy, shareable(request.conversation, options)
    return Ask(
        tenant=call.caller.tenant,
        request_id=request_id,
        repeatable=bool(options.request_id),
        conversation=request.conversation,
        kinds=kinds,
        model=model,
        policy=policy,
        split=chosen.split,
        propensity=chosen.propensity,
        options=options,
        shareable=shared,
        content=_content(call.caller.tenant, model, policy, request) if shared or options.request_id else b"",
    )


def _policy(options: pb.RequestOptions, policies: Mapping[str, Policy], place: str) -> Drawn:
    """The policy that is asked for. A split is drawn by `place`, so that a conversation stays on its arm."""
    if options.inline_policy:
        return Drawn(inline_policy(options.inline_policy))
    name = options.policy or AUTO
    if name not in policies:
        raise UnknownPolicy(name=name[:64], known=",".join(sorted(policies)))
    policy = policies[name]
    if policy.row.strategy != "split":
        return Drawn(policy)
    digest = hashlib.sha256(f"{name}/{place}".encode()).digest()
    return drawn(policy, policies, int.from_bytes(digest[:6], "big") / 2**48)


def shareable(conversation: chat_pb2.Conversation, options: pb.RequestOptions) -> bool:
    """Whether requests with the same content may share one answer."""
    control = options.cache
    if control.no_cache or control.no_store or remembers(options):
        return False
    sampling = conversation.sampling
    sampled = sampling.HasField("temperature") and sampling.temperature > SHARED_TEMPERATURE
    return not sampled or control.allow_sampled


def remembers(options: pb.RequestOptions) -> bool:
    """Whether the conversation's memory is asked for and added to."""
    return options.memory == pb.MEMORY_AUTO


def check_time(call: CallContext, now: float) -> None:
    """Raise DeadlineExceeded where too little time is left for anything."""
    left = call.remaining(now)
    if left is not None and left < _LEAST_SECONDS:
        raise DeadlineExceeded(step="admit")


def check_model(name: str) -> None:
    """Raise InvalidRequest for what is no name of a model."""
    if len(name.encode()) > _MOST_MODEL_BYTES:
        raise InvalidRequest(field="model", problem=f"is longer than {_MOST_MODEL_BYTES} bytes")


def check_request_id(request_id: str, field: str) -> None:
    """Raise InvalidRequest for what is no id; empty is none, which is fine."""
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidRequest(field=field, problem="is not 1 to 128 of [A-Za-z0-9_.:-]")


def check_delivery(request: pb.StreamCompleteRequest) -> None:
    """Raise InvalidRequest for unknown ways of delivery."""
    if request.on_interruption not in pb.OnInterruption.values():
        raise InvalidRequest(field="on_interruption", problem="is not a known value")
    if request.stream_mode not in pb.StreamMode.values():
        raise InvalidRequest(field="stream_mode", problem="is not a known value")


def _check_options(options: pb.RequestOptions) -> None:
    check_request_id(options.request_id, "options.request_id")
    if options.task_hint and not _WORD.fullmatch(options.task_hint):
        raise InvalidRequest(field="options.task_hint", problem="is not 1 to 64 of [A-Za-z0-9_.:/-]")
    if len(options.region_tags) > _MOST_TAGS or any(not _WORD.fullmatch(tag) for tag in options.region_tags):
        raise InvalidRequest(field="options.region_tags", problem="is not at most 16 words of [A-Za-z0-9_.:/-]")
    if len(options.conversation_id.encode()) > _MOST_CONVERSATION_ID_BYTES:
        raise InvalidRequest(field="options.conversation_id", problem="is longer than 128 bytes")
    if options.HasField("max_cost_nanousd") and options.max_cost_nanousd <= 0:
        raise InvalidRequest(field="options.max_cost_nanousd", problem="is not above 0")
    if options.memory not in pb.Memory.values():
        raise InvalidRequest(field="options.memory", problem="is not a known value")
    if remembers(options) and not options.conversation_id:
        raise InvalidRequest(field="options.conversation_id", problem="is needed where memory is AUTO")
    control = options.cache
    if len(control.tags) > _MOST_TAGS or any(not 1 <= len(tag.encode()) <= 64 for tag in control.tags):
        raise InvalidRequest(field="options.cache.tags", problem="is not at most 16 tags of 1 to 64 bytes")
    for name in ("ttl", "max_age"):
        if not control.HasField(name):
            continue
        duration = getattr(control, name)
        if duration.seconds < 0 or duration.nanos < 0:
            raise InvalidRequest(field=f"options.cache.{name}", problem="is negative")
        if duration.seconds > _LONGEST_SECONDS or duration.nanos > 999_999_999:
            raise InvalidRequest(field=f"options.cache.{name}", problem="is not a duration")


def _content(
    tenant: str,
    model: str,
    policy: Policy,
    request: pb.CompleteRequest | pb.StreamCompleteRequest | pb.ExplainRequest,
) -> bytes:
    """Length-prefixed pieces through SHA-256; only ever compared inside this process."""
    options = pb.RequestOptions()
    options.CopyFrom(request.options)
    options.ClearField("request_id")
    fast = isinstance(request, pb.StreamCompleteRequest) and request.stream_mode == pb.STREAM_MODE_FAST
    digest = hashlib.sha256()
    for piece in (
        tenant.encode(),
        model.encode(),
        policy.content_hash.encode(),
        b"fast" if fast else b"",
        options.SerializeToString(deterministic=True),
        request.conversation.SerializeToString(deterministic=True),
    ):
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return digest.digest()
