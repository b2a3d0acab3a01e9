"""Texts, tools, pictures and files are measured as their rules say."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.families import Tokens, family_of
from services.context.measure import Ruler, encoded_length
from services.context.ranks import CL100K, O200K
from tests.unit.context.conversations import TEXTS, assistant, calls, results, user

OPENAI, CLAUDE = "gpt-5", "claude-sonnet-4-5"


@pytest.fixture(scope="session")
def ruler(encodings):
    def for_model(model):
        family = family_of(model)
        return Ruler(encodings.get(family.encoding).encode_ordinary, family, model)

    return for_model


def part(**content):
    return chat.Message(role=chat.ROLE_USER, parts=[chat.Part(**content)])


@settings(max_examples=100)
@given(text=TEXTS)
def test_openai_texts_count_as_in_tiktoken(ruler, encodings, text):
    plain = len(encodings.get(O200K).encode_ordinary(text))
    measured = ruler(OPENAI).message(user(text))
    assert measured.upper_bound >= min(len(text.encode()), plain) + 4
    if "x" * 2_001 not in text:
        assert measured == Tokens(plain + 4, plain + 4)


@settings(max_examples=100)
@given(text=TEXTS)
def test_bounds_lie_between_estimate_and_bytes(ruler, text):
    for model in (OPENAI, "gpt-4", CLAUDE, "deepseek-chat", "gemini-2.5-pro", "qwen3", "llama3", "other"):
        family = family_of(model)
        measured = ruler(model).message(user(text))
        assert measured.estimate <= measured.upper_bound
        assert measured.upper_bound <= len(text.encode()) + family.message.upper_bound


def test_a_name_costs_its_text_and_one(ruler):
    named, plain = user("hi", name="Ann"), user("hi")
    assert ruler(OPENAI).message(named).estimate == ruler(OPENAI).message(plain).estimate + 2


def test_a_message_without_parts_costs_its_marks(ruler):
    assert ruler(OPENAI).message(chat.Message(role=chat.ROLE_ASSISTANT)) == Tokens(4, 4)


@pytest.mark.parametrize(
    "run", ["a", " ", "\n", "^", "=", "中", "😀", "\u0301", "aB", "1", " \n", "a'", "\t ", "a\u0301", "ha", "qzxj"]
)
@pytest.mark.parametrize("name", [O200K, CL100K])
def test_slices_of_a_long_run_keep_the_upper_bound(encodings, name, run):
    encode = encodings.get(name).encode_ordinary
    for length in (2_001, 20_000):
        text = (run * length)[:length]
        count, cuts = encoded_length(text, encode)
        assert count + 4 * cuts >= len(encode(text))


def test_ordinary_long_text_is_not_sliced(encodings):
    text = "hello world and all that " * 1_000
    assert encoded_length(text, encodings.get(O200K).encode_ordinary)[1] == 0
    assert encoded_length(text + "x" * 2_001, encodings.get(O200K).encode_ordinary)[1] > 0


@pytest.mark.parametrize("run", ["a", " ", "=", "中", "😀", "\u0301"])
def test_a_hundred_thousand_equal_characters_are_quick(ruler, run):
    message = user(run * 100_000)
    started = time.process_time()
    ruler(OPENAI).message(message)
    # Measured: 0.005 to 0.02 s. The limit is for busy machines; without care it was minutes.
    assert time.process_time() - started < 0.5


def test_foreign_models_get_factors_by_script_and_for_tools(ruler, encodings):
    text = "The quick brown fox jumps over the lazy dog. " * 20
    plain = len(encodings.get(O200K).encode_ordinary(text))
    measured = ruler(CLAUDE).message(user(text))
    assert measured.estimate == 4 + round(plain * 1.1)
    assert measured.upper_bound == 8 + -(-plain * 3 // 2)
    as_call = ruler(CLAUDE).message(calls("c", arguments=text))
    assert as_call.upper_bound >= plain * 2.9


def test_a_run_that_is_one_token_here_may_be_many_elsewhere(ruler):
    assert ruler(OPENAI).message(user("=" * 64)).upper_bound == 5
    assert ruler(CLAUDE).message(user("=" * 64)).upper_bound >= 16


def test_digits_may_be_tokens_of_their_own_elsewhere(ruler):
    assert ruler("gemini-2.5-pro").message(user("12345678901234567890")).upper_bound >= 20


WEATHER = chat.Tool(
    name="get_weather",
    description="Gets the weather.",
    parameters_json='{"type":"object","properties":{"city":{"type":"string","description":"Where"}},"required":["city"]}',
)


def test_a_tool_costs_what_its_vendor_shows_the_model_of_it(ruler, encodings):
    encode = encodings.get(O200K).encode_ordinary
    shown = "// Gets the weather.\ntype get_weather = (_: {\n// Where\ncity: string,\n}) => any;\n\n"
    assert ruler(OPENAI).tool(WEATHER).estimate == len(encode(shown))
    texts = (WEATHER.name, WEATHER.description, WEATHER.parameters_json)
    assert ruler(OPENAI).tool(WEATHER).upper_bound == sum(len(encode(text)) for text in texts) + 9
    assert ruler("gemini-2.5-flash").tool(WEATHER).estimate < ruler(CLAUDE).tool(WEATHER).estimate


def test_an_answer_schema_counts_and_plain_answers_do_not(ruler):
    schema = chat.ResponseFormat(name="answer", schema_json='{"type":"object"}')
    assert ruler(OPENAI).response_format(schema).estimate > 9
    assert ruler(OPENAI).response_format(chat.ResponseFormat()) == Tokens(0, 0)


def test_results_count_what_is_in_them(ruler):
    short, long = results("c", text="yes"), results("c", text="yes " * 50)
    assert ruler(OPENAI).message(long).estimate >= ruler(OPENAI).message(short).estimate + 48


def test_pictures_cost_by_family_not_by_bytes(ruler):
    picture = part(image=chat.Image(data=b"\0" * 50_000, media_type="image/png"))
    assert ruler("gpt-4o").message(picture) == Tokens(4 + 425, 4 + 1_536)
    assert ruler("gpt-4o-mini").message(picture).upper_bound > 40_000
    assert ruler(CLAUDE).message(picture).upper_bound == 8 + 5_000


def test_files_cost_their_text_or_their_bytes(ruler, encodings):
    text = "some text in a file " * 30
    as_text = part(document=chat.Document(data=text.encode(), media_type="text/plain"))
    assert ruler(OPENAI).message(as_text).estimate == 4 + len(encodings.get(O200K).encode_ordinary(text))
    as_pdf = part(document=chat.Document(data=b"\0" * 4_000, media_type="application/pdf"))
    assert ruler(OPENAI).message(as_pdf) == Tokens(4 + 500, 4 + 4_000)
    pages = part(document=chat.Document(data=b"/Type /Page /Type /Pages /Type/Page " * 2, media_type="application/pdf"))
    assert ruler("gemini-2.5-flash").message(pages).estimate == 4 * 258
    elsewhere = part(document=chat.Document(remote_uri="https://example.com/a.pdf"))
    assert ruler(OPENAI).message(elsewhere) == Tokens(4 + 500, 4 + 30_000)


def test_signatures_count_only_for_the_model_that_made_them(ruler):
    proof = chat.Signature(value="s" * 1_530, origin_model=OPENAI)
    hidden = chat.Message(parts=[chat.Part(reasoning=chat.Reasoning(redacted=True), signature=proof)])
    assert ruler(OPENAI).message(hidden) == Tokens(4 + 100, 4 + 1_530)
    assert ruler("gpt-5-mini").message(hidden) == Tokens(4, 4)
    visible = chat.Message(parts=[chat.Part(reasoning=chat.Reasoning(text="hm"), signature=proof)])
    assert ruler(OPENAI).message(visible) == Tokens(4 + 1, 4 + 1_531)


def test_thoughts_of_earlier_turns_are_in_the_bound_alone(ruler):
    thought = chat.Message(role=chat.ROLE_ASSISTANT, parts=[chat.Part(reasoning=chat.Reasoning(text="so it is"))])
    now, past = ruler(OPENAI).message(thought), ruler(OPENAI).message(thought, is_past=True)
    assert (now.estimate, past.estimate) == (4 + 3, 4)
    assert past.upper_bound == now.upper_bound
    written = assistant("<think>\nso it is\n</think>\nYes.")
    assert ruler("qwen3").message(written, is_past=True).estimate < ruler("qwen3").message(written).estimate
    assert ruler(OPENAI).message(written, is_past=True) == ruler(OPENAI).message(written)


def test_a_refusal_is_text(ruler):
    assert ruler(OPENAI).message(part(refusal="no")) == Tokens(5, 5)
