"""Rules that hold for all protos, and bytes that must keep their meaning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from google.protobuf.message import Message

from omnisphere.cache.v1 import cache_service_pb2
from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2
from omnisphere.errors.v1 import error_reason_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2, providers_service_pb2
from omnisphere.router.v1 import admin_service_pb2, decision_pb2, memory_service_pb2, router_service_pb2

FILES: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR
    for module in (
        cache_service_pb2,
        chat_pb2,
        context_service_pb2,
        error_reason_pb2,
        model_pb2,
        attempt_pb2,
        providers_service_pb2,
        admin_service_pb2,
        decision_pb2,
        memory_service_pb2,
        router_service_pb2,
    )
)
# A caller who could name an address would make us call it.
FORBIDDEN = {"url", "base_url", "endpoint", "api_key", "host"}


def messages(holder: FileDescriptor | Descriptor) -> Iterator[Descriptor]:
    inner = holder.message_types_by_name if isinstance(holder, FileDescriptor) else holder.nested_types_by_name
    for message in inner.values():
        yield message
        yield from messages(message)


def enums() -> Iterator[EnumDescriptor]:
    for file in FILES:
        yield from file.enum_types_by_name.values()
        for message in messages(file):
            yield from message.enum_types_by_name.values()


def reached(message: Descriptor, seen: dict[str, Descriptor]) -> dict[str, Descriptor]:
    """`message` and all messages that it holds."""
    if message.full_name not in seen:
        seen[message.full_name] = message
        for field in message.fields:
            if field.message_type is not None:
                reached(field.message_type, seen)
    return seen


METHODS = [method for file in FILES for service in file.services_by_name.values() for method in service.methods]


@pytest.mark.parametrize("enum", list(enums()), ids=lambda enum: enum.full_name)
def test_every_enum_begins_with_unspecified(enum):
    zero = enum.values_by_number[0].name
    assert zero.endswith("_UNSPECIFIED")
    prefix = zero.removesuffix("UNSPECIFIED")
    assert all(value.name.startswith(prefix) for value in enum.values)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_no_request_can_name_an_address_or_a_key(method):
    for message in reached(method.input_type, {}).values():
        assert not FORBIDDEN & {field.name for field in message.fields}, message.full_name


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_each_method_has_messages_of_its_own_name(method):
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"


def test_no_public_request_has_a_tenant():
    for method in METHODS:
        for message in reached(method.input_type, {}).values():
            assert "tenant" not in message.fields_by_name, message.full_name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_package_has_its_version(file):
    assert file.package.startswith("omnisphere.")
    assert file.package.endswith(".v1")
    assert file.name == f"{file.package.replace('.', '/')}/{file.name.rsplit('/', 1)[-1]}"


# name -> message, bytes as they were written by the first release, what they mean.
GOLDEN: dict[str, tuple[type[Message], str, str]] = {
    "a conversation with tools": (
        chat_pb2.Conversation,
        (
            "0a110801120b0a0942652062726965662e28010a3e080312090a054c6f6f6b2e480112221220121968747470733a2f2f6578"
            "616d706c652e6f72672f612e706e6722036c6f771a03616e6e22060880f09dc7060a2e0804121332040a02686d420b0a0463"
            "326c6e12036d2d31121522130a02633112046c6f6f6b1a077b2261223a317d0a1a080512162a140a02633112046c6f6f6b1a"
            "060a047365656e200112140a046c6f6f6b12064c6f6f6b732e1a027b7d20011a0a080412046c6f6f6b1801220b0803120161"
            "1a027b7d20012a1d09000000000000e03f11000000000000f03f18642203454e442807300232027b7d"
        ),
        (
            'messages { role: ROLE_SYSTEM parts { text: "Be brief." } pinned: true } messages { role: ROLE_USER p'
            'arts { text: "Look." cache_breakpoint: true } parts { image { remote_uri: "https://example.org/a.png'
            '" detail: "low" } } name: "ann" sent_at { seconds: 1760000000 } } messages { role: ROLE_ASSISTANT pa'
            'rts { reasoning { text: "hm" } signature { value: "c2ln" origin_model: "m-1" } } parts { tool_call {'
            ' id: "c1" name: "look" arguments_json: "{\\"a\\":1}" } } } messages { role: ROLE_TOOL parts { tool_res'
            'ult { tool_call_id: "c1" name: "look" parts { text: "seen" } is_error: true } } } tools { name: "loo'
            'k" description: "Looks." parameters_json: "{}" strict: true } tool_choice { mode: MODE_NAMED name: "'
            'look" disable_parallel: true } response_format { kind: KIND_JSON_SCHEMA name: "a" schema_json: "{}" '
            'strict: true } sampling { temperature: 0.5 top_p: 1.0 max_output_tokens: 100 stop: "END" seed: 7 rea'
            'soning_effort: REASONING_EFFORT_LOW } vendor_options_json: "{}"'
        ),
    ),
    "a delta": (
        chat_pb2.Delta,
        ("08031205080112016112130802220f0a02633112046c6f6f6b1a017b2001120c2a026e6f3a060a017312016d"),
        (
            'index: 3 parts { part_index: 1 text: "a" } parts { part_index: 2 tool_call { id: "c1" name: "look" a'
            'rguments_json: "{" arguments_invalid: true } } parts { refusal: "no" signature { value: "s" origin_m'
            'odel: "m" } }'
        ),
    ),
    "usage": (
        chat_pb2.Usage,
        ("080110021803200428053001"),
        (
            "input_uncached_tokens: 1 input_cache_read_tokens: 2 input_cache_write_tokens: 3 output_tokens: 4 rea"
            "soning_tokens: 5 estimated: true"
        ),
    ),
    "a request": (
        router_service_pb2.CompleteRequest,
        (
            "0a0d0a0b080312070a0568656c6c6f12046175746f1a300a03722d3112046175746f1a0973696d706c655f71612214080110"
            "0118012202083c2a0308901c30013a01742a026575"
        ),
        (
            'conversation { messages { role: ROLE_USER parts { text: "hello" } } } model: "auto" options { reques'
            't_id: "r-1" policy: "auto" task_hint: "simple_qa" cache { no_cache: true no_store: true only_if_cach'
            'ed: true max_age { seconds: 60 } ttl { seconds: 3600 } allow_sampled: true tags: "t" } region_tags: '
            '"eu" }'
        ),
    ),
    "the start of a stream": (
        router_service_pb2.StreamCompleteResponse,
        ("0a270a03722d3112200a016d1204080510013a157072696d61727920666f722073696d706c655f7161"),
        (
            'started { request_id: "r-1" plan { model: "m" expected_cost { nanousd: 5 priced: true } reason: "pri'
            'mary for simple_qa" } }'
        ),
    ),
    "a restart": (
        router_service_pb2.StreamCompleteResponse,
        ("1a160a1253545245414d5f494e5445525255505445441002"),
        ('restart { reason: "STREAM_INTERRUPTED" attempt: 2 }'),
    ),
    "the end of a stream": (
        router_service_pb2.StreamCompleteResponse,
        (
            "22ac010801120220041a0508bc051001229c010a03722d31120472756c651a046175746f220261622a0973696d706c655f71"
            "6130023a050a016d300442016d4a28080112016d1a01652001280138c801420473746f704a01755a0508bc0510016a0510c0"
            "96b102780150016204080310046a08080110091805200272090801120563616368658a010f0a076c6f6f6b5f7570120410c0"
            "843d92010b0a03626967100920022801a20103722d30a80101"
        ),
        (
            "end { finish_reason: FINISH_REASON_STOP usage { output_tokens: 4 } cost { nanousd: 700 priced: true "
            '} decision { request_id: "r-1" strategy: "rule" policy: "auto" policy_hash: "ab" task_type: "simple_'
            'qa" task_source: TASK_SOURCE_RULE candidates { model: "m" dropped: DROPPED_RESTING } model: "m" atte'
            'mpts { number: 1 model: "m" endpoint: "e" purpose: PURPOSE_ANSWER outcome: ATTEMPT_OUTCOME_OK http_s'
            'tatus: 200 provider_finish_reason: "stop" upstream_id: "u" cost { nanousd: 700 priced: true } latenc'
            "y { nanos: 5000000 } simulated: true } fallbacks: 1 cache { outcome: CACHE_OUTCOME_MISS reason: CACH"
            "E_REASON_TOOLS } context { policy: FIT_POLICY_WINDOW tokens_before: 9 tokens_after: 5 messages_dropp"
            'ed: 2 } degradations { kind: KIND_CACHE_UNAVAILABLE subject: "cache" } steps { step: "look_up" laten'
            'cy { nanos: 1000000 } } savings { reference_model: "big" reference_nanousd: 9 routing_nanousd: 2 est'
            'imated: true } shared_with_request_id: "r-0" replayed: true } }'
        ),
    ),
    "a look-up": (
        cache_service_pb2.LookUpRequest,
        ("0a240a0d0a0b080312070a0568656c6c6f1a026162220973696d706c655f71612a0265753001120210013001"),
        (
            'query { conversation { messages { role: ROLE_USER parts { text: "hello" } } } policy_hash: "ab" task'
            '_hint: "simple_qa" region_tags: "eu" simulated: true } control { no_store: true } peek: true'
        ),
    ),
    "a hit": (
        cache_service_pb2.LookUpResponse,
        ("08011a1a0a08080412040a02686910011a016d220220012a0508bc0510012201652a060880f09dc706"),
        (
            'outcome: CACHE_OUTCOME_EXACT_HIT reply { message { role: ROLE_ASSISTANT parts { text: "hi" } } finis'
            'h_reason: FINISH_REASON_STOP model: "m" usage { output_tokens: 1 } cost { nanousd: 700 priced: true '
            '} } entry_id: "e" stored_at { seconds: 1760000000 }'
        ),
    ),
    "an answer to keep": (
        cache_service_pb2.StoreRequest,
        ("0a0312016d1a0f0a08080412040a02686910031a016d"),
        (
            'query { model: "m" } reply { message { role: ROLE_ASSISTANT parts { text: "hi" } } finish_reason: FI'
            'NISH_REASON_TOOL_CALLS model: "m" }'
        ),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_of_the_first_release_still_mean_the_same(name):
    kind, written, meaning = GOLDEN[name]
    read = kind.FromString(bytes.fromhex(written))
    assert text_format.MessageToString(read, as_one_line=True) == meaning
    assert read.SerializeToString(deterministic=True) == bytes.fromhex(written)
