"""A vendor's options join the request, and may not speak for the contract."""

from __future__ import annotations

import dataclasses
import json

import pytest

from services.chassis.errors import InvalidRequest
from services.providers.adapters import WireFormat, formats
from services.providers.adapters.lost import Lost
from services.providers.adapters.options import CHAT_OPTIONS, HINTS, with_vendor_options, without
from tests.unit.providers.samples import conversation, target, user

CARRIED = {"model", "limit", "config.limit"}


def test_options_are_merged_as_they_are():
    assert with_vendor_options({"model": "m"}, "", CARRIED) == {"model": "m"}
    assert with_vendor_options({"model": "m"}, '{"b": 1.0, "a": null}', CARRIED) == {"model": "m", "b": 1.0, "a": None}


def test_an_object_that_the_contract_fills_in_part_is_merged_inside():
    body = {"config": {"seed": 1}}
    assert with_vendor_options(body, '{"config": {"top_k": 3}}', CARRIED) == {"config": {"seed": 1, "top_k": 3}}
    assert with_vendor_options({}, '{"config": {"top_k": 3}}', CARRIED) == {"config": {"top_k": 3}}
    assert body == {"config": {"seed": 1}}


def test_penalties_are_left_out_where_a_format_has_none_and_said():
    lost = Lost()
    text = '{"frequency_penalty": 0.5, "presence_penalty": 1, "top_k": 3}'
    assert json.loads(without(CHAT_OPTIONS, text, lost)) == {"top_k": 3}
    assert [one.subject for one in lost.degradations] == [
        "conversation.vendor_options_json.frequency_penalty",
        "conversation.vendor_options_json.presence_penalty",
    ]
    assert without(CHAT_OPTIONS, '{"frequency_penalty": 1}', Lost()) == ""
    assert without(CHAT_OPTIONS, '{"top_k":  3}', lost) == '{"top_k":  3}'


@pytest.mark.parametrize("wire_format", ["anthropic_messages", "gemini_generate", "openai_responses", "ollama_chat"])
def test_a_format_without_chat_options_sends_none(wire_format: WireFormat):
    said = conversation(user("hello"), vendor_options_json='{"frequency_penalty": 0.5}')
    encoded = formats.CHAT[wire_format].encode(said, target(), stream=False)
    assert b"penalty" not in encoded.body
    assert [one.subject for one in encoded.degradations] == ["conversation.vendor_options_json.frequency_penalty"]


def test_what_only_responses_can_say_is_left_out_elsewhere_and_the_rest_of_its_object_is_not():
    lost = Lost()
    text = '{"reasoning": {"summary": "auto"}, "text": {"verbosity": "low", "a": 1}}'
    assert json.loads(without(HINTS, text, lost)) == {"text": {"a": 1}}
    assert len(lost.degradations) == 2
    untouched = '{"reasoning":  {"effort": "a summary"}, "text": 5}'
    assert without(HINTS, untouched, lost) == untouched


@pytest.mark.parametrize("wire_format", [name for name in formats.CHAT if name != "openai_responses"])
def test_a_format_without_these_words_says_none_of_them(wire_format: WireFormat):
    said = conversation(user("hello"), vendor_options_json='{"text": {"verbosity": "low"}}')
    encoded = formats.CHAT[wire_format].encode(said, target(), stream=False)
    assert b"verbosity" not in encoded.body
    assert [one.subject for one in encoded.degradations] == ["conversation.vendor_options_json.text.verbosity"]


@pytest.mark.parametrize(("capabilities", "summary"), [({"reasoning"}, "auto"), (set(), None)])
def test_responses_says_them_and_a_summary_to_models_that_think(capabilities: set[str], summary: str | None):
    options = '{"reasoning": {"summary": "auto"}, "text": {"verbosity": "low"}}'
    said = conversation(user("hello"), vendor_options_json=options)
    to = dataclasses.replace(target(), capabilities=frozenset(capabilities))
    body = json.loads(formats.CHAT["openai_responses"].encode(said, to, stream=False).body)
    assert body["text"] == {"verbosity": "low"}
    assert body.get("reasoning", {}).get("summary") == summary


@pytest.mark.parametrize(("quirks", "sends"), [((), False), (("verbosity",), True)])
def test_only_models_with_a_verbosity_are_told_one(quirks: tuple[str, ...], sends: bool):
    said = conversation(user("hello"), vendor_options_json='{"frequency_penalty": 0.5, "verbosity": "low"}')
    encoded = formats.CHAT["openai_chat"].encode(said, target(quirks=frozenset(quirks)), stream=False)
    assert json.loads(encoded.body).get("verbosity") == ("low" if sends else None)
    assert json.loads(encoded.body)["frequency_penalty"] == 0.5
    lost = [one.subject for one in encoded.degradations]
    assert lost == ([] if sends else ["conversation.vendor_options_json.verbosity"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "x"}, "model"),
        ({"limit": 1}, "limit"),
        ({"set": 1}, "set"),
        ({"config": {"limit": 1}}, "config.limit"),
        ({"config": {"seed": 2}}, "config.seed"),
        ({"config": 7}, "config"),
    ],
)
def test_what_the_contract_carries_set_or_not_is_refused(options, named):
    with pytest.raises(InvalidRequest) as refused:
        with_vendor_options({"set": 0, "config": {"seed": 1}}, json.dumps(options), CARRIED)
    assert refused.value.metadata["field"] == "conversation.vendor_options_json"
    assert refused.value.metadata["problem"].startswith(f"names {named},")
