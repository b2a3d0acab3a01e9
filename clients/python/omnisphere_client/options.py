"""How a question may be asked: the keyword arguments of complete, stream and explain, and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, TypedDict

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client.messages import Json, Prompt, json_text, system, turns

Effort: TypeAlias = Literal["none", "low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """What the cache may do. The default allows everything.

    `read` False: do not answer from the cache. `write` False: do not keep the answer.
    `only` True: answer from the cache or raise NotFound, so that no model is asked.
    `max_age`: serve nothing older. `ttl`: keep the answer this long, at most 7 days; None: 24 hours.
    `sampled` True: also above temperature 0.3. `tags`: words to invalidate by.
    """

    read: bool = True
    write: bool = True
    only: bool = False
    max_age: timedelta | None = None
    ttl: timedelta | None = None
    sampled: bool = False
    tags: Sequence[str] = ()

    def control(self) -> cache_pb.CacheControl:
        """The same in the contract's words."""
        control = cache_pb.CacheControl(
            no_cache=not self.read,
            no_store=not self.write,
            only_if_cached=self.only,
            allow_sampled=self.sampled,
            tags=self.tags,
        )
        if self.max_age is not None:
            control.max_age.FromTimedelta(self.max_age)
        if self.ttl is not None:
            control.ttl.FromTimedelta(self.ttl)
        return control


class AskOptions(TypedDict, total=False):
    """The keyword arguments of complete, stream and explain; all may be left out.

    What is left out is not sent: the policy's, the provider's and the deployment's defaults hold.
    """

    model: str  # an alias ("claude-sonnet") or a concrete id; left out: the policy chooses
    policy: str  # the name of a policy; left out: "auto"
    task: str  # the task type, for example "code_review"; left out: found from the prompt
    system: str  # instructions before the conversation
    tools: Sequence[chat_pb2.Tool]  # functions that the model may call, made by tool()
    tool_choice: str | chat_pb2.ToolChoice  # "auto", "none", "required", or the name of a tool
    response_format: Literal["text", "json"] | Json | chat_pb2.ResponseFormat  # a mapping is a JSON Schema
    temperature: float  # 0 to 2
    top_p: float  # above 0, at most 1
    max_output_tokens: int  # reasoning included
    stop: Sequence[str]  # texts that end the answer
    seed: int  # asks for repeatable draws
    reasoning_effort: Effort  # how long a reasoning model may think
    vendor_options: Json  # merged into the provider's request body as it is
    request_id: str  # makes the call idempotent for 10 minutes: asked again, the first answer comes again
    cache: CacheOptions
    region_tags: Sequence[str]  # where the request may be served
    max_cost_nanousd: int  # what it may cost, in 1e-9 USD
    inline_policy: str  # a policy of this request alone, as the text of its TOML table
    conversation_id: str  # names the conversation over its requests; needed for memory
    memory: bool  # what was kept for the conversation goes with the question, and question and answer are kept


_EFFORTS: dict[str, chat_pb2.ReasoningEffort.ValueType] = {
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
}
_CHOICES: dict[str, chat_pb2.ToolChoice.Mode.ValueType] = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
}


def request(prompt: Prompt, options: AskOptions) -> pb.CompleteRequest:
    """The request for an answer to `prompt`."""
    return pb.CompleteRequest(
        conversation=_conversation(prompt, options), model=options.get("model", ""), options=_request_options(options)
    )


def stream_request(prompt: Prompt, options: AskOptions, *, restart: bool, fast: bool) -> pb.StreamCompleteRequest:
    """The request for an answer as a stream."""
    return pb.StreamCompleteRequest(
        conversation=_conversation(prompt, options),
        model=options.get("model", ""),
        options=_request_options(options),
        on_interruption=pb.ON_INTERRUPTION_RESTART if restart else pb.ON_INTERRUPTION_UNSPECIFIED,
        stream_mode=pb.STREAM_MODE_FAST if fast else pb.STREAM_MODE_UNSPECIFIED,
    )


def explain_request(prompt: Prompt, options: AskOptions) -> pb.ExplainRequest:
    """The request for the plan alone."""
    return pb.ExplainRequest(
        conversation=_conversation(prompt, options), model=options.get("model", ""), options=_request_options(options)
    )


def _request_options(options: AskOptions) -> pb.RequestOptions:
    made = pb.RequestOptions(
        request_id=options.get("request_id", ""),
        policy=options.get("policy", ""),
        task_hint=options.get("task", ""),
        region_tags=options.get("region_tags", ()),
        inline_policy=options.get("inline_policy", ""),
        conversation_id=options.get("conversation_id", ""),
        memory=pb.MEMORY_AUTO if options.get("memory", False) else pb.MEMORY_UNSPECIFIED,
    )
    if "max_cost_nanousd" in options:
        made.max_cost_nanousd = options["max_cost_nanousd"]
    if "cache" in options:
        made.cache.CopyFrom(options["cache"].control())
    return made


def _conversation(prompt: Prompt, options: AskOptions) -> chat_pb2.Conversation:
    unknown = set(options) - AskOptions.__optional_keys__
    if unknown:
        raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
    instructions = options.get("system", "")
    said = chat_pb2.Conversation(
        messages=[*([system(instructions)] if instructions else []), *turns(prompt)],
        tools=options.get("tools", ()),
        vendor_options_json=json_text(options.get("vendor_options", "")),
    )
    if "tool_choice" in options:
        said.tool_choice.CopyFrom(_choice(options["tool_choice"]))
    if "response_format" in options:
        said.response_format.CopyFrom(_format(options["response_format"]))
    sampling = _sampling(options)
    if sampling.ByteSize():
        said.sampling.CopyFrom(sampling)
    return said


def _sampling(options: AskOptions) -> chat_pb2.Sampling:
    made = chat_pb2.Sampling(
        temperature=options.get("temperature"),
        top_p=options.get("top_p"),
        max_output_tokens=options.get("max_output_tokens"),
        stop=options.get("stop", ()),
        seed=options.get("seed"),
    )
    if "reasoning_effort" in options:
        made.reasoning_effort = _EFFORTS[options["reasoning_effort"]]
    return made


def _choice(choice: str | chat_pb2.ToolChoice) -> chat_pb2.ToolChoice:
    if isinstance(choice, chat_pb2.ToolChoice):
        return choice
    if choice in _CHOICES:
        return chat_pb2.ToolChoice(mode=_CHOICES[choice])
    return chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name=choice)


def _format(form: str | Json | chat_pb2.ResponseFormat) -> chat_pb2.ResponseFormat:
    if isinstance(form, chat_pb2.ResponseFormat):
        return form
    if form == "text":
        return chat_pb2.ResponseFormat(kind=chat_pb2.ResponseFormat.KIND_TEXT)
    if form == "json":
        return chat_pb2.ResponseFormat(kind=chat_pb2.ResponseFormat.KIND_JSON_OBJECT)
    return chat_pb2.ResponseFormat(
        kind=chat_pb2.ResponseFormat.KIND_JSON_SCHEMA, name="answer", schema_json=json_text(form), strict=True
    )
