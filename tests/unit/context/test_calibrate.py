"""Counts come nearer to what providers report, per kind of content, and only for what was reported."""

from __future__ import annotations

from random import Random

import pytest

from omnisphere.chat.v1 import chat_pb2 as chat
from services.chassis.errors import InvalidRequest
from services.context.calibrate import COLD, learned
from services.context.calibrations import Calibrations, Reference, read_ref, ref_of
from services.context.families import NO_FEATURES, Feature
from services.context.memo import Memo
from services.context.store import Store
from services.context.tokens import TokenCounter
from tests.unit.context.conversations import assistant, conversation, system, user

WORDS = [
    "harbour",
    "violin",
    "deploy",
    "invoice",
    "marathon",
    "sourdough",
    "visa",
    "router",
    "garden",
    "passport",
    "the",
    "and",
    "of",
    "with",
]
CLAUDE = "claude-sonnet-4-5"


@pytest.fixture
def calibrated(encodings, tmp_path):
    """(a counter that learns, what it has learned)"""
    store = Store(tmp_path / "context.sqlite3")
    calibrations = Calibrations(store)
    yield TokenCounter(encodings, Memo(1_000), calibrations), calibrations
    store.close()


def talk(draw, words=60):
    text = " ".join(draw.choices(WORDS, k=draw.randint(5, words)))
    return conversation(system("Be kind."), user(text), assistant("Yes."), user(text[::2] + "?"))


def truth(counter, asked, model):
    """A provider that counts a quarter more, and five tokens per message."""
    plain = TokenCounter(counter._encodings, Memo(1)).count(asked, model).total().estimate
    return round(plain * 1.25 + 5 * len(asked.messages))


def report(counter, calibrations, asked, model, tokens=None):
    reference = read_ref(counter.count(asked, model).ref())
    usage = chat.Usage(input_uncached_tokens=tokens or truth(counter, asked, model))
    return calibrations.report(reference, usage)


def error(counter, asked, model):
    right = truth(counter, asked, model)
    return abs(counter.count(asked, model).total().estimate - right) / right


def test_fifty_reports_bring_the_error_below_a_hundredth(calibrated):
    counter, calibrations = calibrated
    draw = Random(1)
    before = error(counter, talk(draw), CLAUDE)
    for _ in range(64):
        report(counter, calibrations, talk(draw), CLAUDE)
    errors = [error(counter, talk(draw), CLAUDE) for _ in range(20)]
    assert before > 0.15
    assert sorted(errors)[10] < 0.01
    total = counter.count(talk(draw), CLAUDE).total()
    assert total.estimate <= total.upper_bound


def test_a_reference_is_the_same_before_and_after_calibration(calibrated):
    counter, calibrations = calibrated
    draw = Random(2)
    asked = talk(draw)
    before = counter.count(asked, CLAUDE).ref()
    for _ in range(8):
        report(counter, calibrations, talk(draw), CLAUDE)
    after = counter.count(asked, CLAUDE)
    assert after.calibration.version != COLD.version
    assert abs(read_ref(after.ref()).estimate - read_ref(before).estimate) <= 1
    assert read_ref(after.ref()).features == read_ref(before).features


def test_what_was_learned_outlasts_the_process(calibrated, encodings, tmp_path):
    counter, calibrations = calibrated
    draw = Random(3)
    for _ in range(16):
        report(counter, calibrations, talk(draw), CLAUDE)
    asked = talk(draw)
    store = Store(tmp_path / "context.sqlite3")
    again = TokenCounter(encodings, Memo(10), Calibrations(store)).count(asked, CLAUDE)
    assert again.total() == counter.count(asked, CLAUDE).total()
    assert again.calibration == counter.count(asked, CLAUDE).calibration
    store.close()


def test_a_family_teaches_its_members_and_nobody_else(calibrated):
    counter, calibrations = calibrated
    draw = Random(4)
    for _ in range(32):
        report(counter, calibrations, talk(draw), CLAUDE)
    asked = talk(draw)
    assert error(counter, asked, "claude-opus-5") < 0.04
    assert counter.count(asked, "gemini-2.5-pro").calibration is COLD


def test_nothing_is_learned_of_content_that_nobody_reported(calibrated):
    counter, calibrations = calibrated
    chinese = conversation(user("\u4eca\u5929\u5929\u6c14\u5f88\u597d" * 50))
    before = counter.count(chinese, CLAUDE).total().estimate
    draw = Random(5)
    for _ in range(64):
        report(counter, calibrations, talk(draw), CLAUDE)
    weights = counter.count(chinese, CLAUDE).calibration.weights
    assert abs(weights[Feature.THREE_BYTES]) < 0.01
    # But for what a conversation has beyond its content, here 5 tokens for each of four messages.
    assert counter.count(chinese, CLAUDE).total().estimate == pytest.approx(before, abs=25)


def test_a_picture_that_was_reported_costs_the_same_again(calibrated):
    counter, calibrations = calibrated
    draw = Random(9)
    picture = chat.Part(image=chat.Image(remote_uri="https://example.com/a.png"))
    for _ in range(16):
        report(counter, calibrations, talk(draw), CLAUDE)
    shown = conversation(user("What is this?"))
    shown.messages[0].parts.append(picture)
    for _ in range(16):
        report(counter, calibrations, shown, CLAUDE, tokens=1_500)
    again = conversation(system("Be kind."), user("And what is that?"))
    again.messages[1].parts.append(picture)
    mine = counter.count(again, CLAUDE).total().estimate
    theirs = counter.count(again, CLAUDE, tenant="another").total().estimate
    assert mine == pytest.approx(1_500, rel=0.1)
    assert theirs < 800


def test_one_wire_format_tells_little_of_another(calibrated):
    counter, calibrations = calibrated
    asked = conversation(user("How warm is it?"), tools=1)
    plain = counter.count(asked, "gpt-5").total().estimate
    for wire_format, more in (("openai_chat", 80), ("openai_responses", 0)) * 4:
        reference = read_ref(counter.count(asked, "gpt-5", wire_format).ref())
        calibrations.report(reference, chat.Usage(input_uncached_tokens=plain + more))
    assert counter.count(asked, "gpt-5", "openai_chat").total().estimate == pytest.approx(plain + 80, abs=3)
    assert counter.count(asked, "gpt-5", "openai_responses").total().estimate == pytest.approx(plain, abs=3)


def test_a_report_that_is_far_off_changes_little(calibrated):
    counter, calibrations = calibrated
    draw = Random(6)
    for place in range(64):
        asked = talk(draw)
        hidden = 900 if place % 8 == 0 else 0
        report(counter, calibrations, asked, CLAUDE, truth(counter, asked, CLAUDE) + hidden)
    assert error(counter, talk(draw), CLAUDE) < 0.03
    # The bound knows that it happens.
    asked = talk(draw)
    assert counter.count(asked, CLAUDE).total().upper_bound > counter.count(asked, CLAUDE).total().estimate + 400


@pytest.mark.parametrize("usage", [chat.Usage(), chat.Usage(input_uncached_tokens=9, estimated=True)])
def test_a_usage_that_says_nothing_is_no_report(calibrated, usage):
    counter, calibrations = calibrated
    reference = read_ref(counter.count(talk(Random(7)), CLAUDE).ref())
    assert calibrations.report(reference, usage) is COLD
    assert calibrations.report(reference, chat.Usage(input_uncached_tokens=10**9)) is COLD


@pytest.mark.parametrize(
    "ref",
    [
        *("", "x", "W10=", "\u00fc"),
        ref_of(Reference("m", "", 1, (0.0,))),
        ref_of(Reference("", "", 1, NO_FEATURES)),
        ref_of(Reference("m", "", -1, NO_FEATURES)),
        ref_of(Reference("m", "w" * 65, 1, NO_FEATURES)),
        ref_of(Reference("m", "", 1, NO_FEATURES, (("k" * 17, 1.0),))),
    ],
)
def test_a_strange_reference_is_refused(ref):
    with pytest.raises(InvalidRequest) as refused:
        read_ref(ref)
    assert refused.value.metadata["field"] == "count_ref"


def test_without_reports_nothing_is_learned():
    assert learned([], "m", is_exact=True) is COLD


def test_reports_without_a_file_change_nothing(encodings, tmp_path):
    (tmp_path / "context.sqlite3").mkdir()
    calibrations = Calibrations(Store(tmp_path / "context.sqlite3"))
    counter = TokenCounter(encodings, Memo(10), calibrations)
    assert report(counter, calibrations, talk(Random(8)), CLAUDE) is COLD


def test_a_calibrated_count_is_never_below_nothing(calibrated):
    counter, calibrations = calibrated
    for _ in range(8):
        report(counter, calibrations, conversation(user("hi")), CLAUDE, tokens=1)
    counted = counter.count(conversation(user("")), CLAUDE)
    assert counted.total().estimate >= 0
    assert counted.total([]).estimate >= 0
    assert counted.total().upper_bound >= counted.total().estimate
