"""Questions that need old turns are told from talk that goes on about the newest ones."""

from __future__ import annotations

import numpy as np
import pytest

from services.context.need import Fetch, asked_part, decide
from services.context.search import Found, TurnIndex
from services.context.turns import Turn
from services.context.words import telling

OLD = [
    "My sister Paula moved to Lisbon in spring.",
    "We should paint the boat green before the regatta.",
    "The deploy of the billing service failed with error 502.",
    "Grandma's soup needs two leeks and a bay leaf.",
]


@pytest.mark.parametrize(
    "text",
    [
        "When did Paula move to Lisbon?",
        "Hi there! Which city did my sister Paula move to?",
        "Remind me which colour the boat should have for the regatta",
        "Tell me the error of the failed billing deploy.",
        "How many leeks go into grandma's soup?",
    ],
)
def test_a_question_about_old_turns_fetches_them(text):
    assert decided(text) is Fetch.WINDOW


@pytest.mark.parametrize(
    "text",
    [
        "That is wonderful news, I am so happy for you both and will visit soon.",
        "Thanks! What now?",
        "ok",
        "",
        "Nice. And you?",
        "Please sort the numbers 4, 8 and 1 for me.",
        "How do I reverse a list in Python?",
    ],
)
def test_talk_fetches_nothing(text):
    assert decided(text) is Fetch.NOTHING


ELSEWHERE = [
    "Mein Boot heißt Albatros und liegt im Hafen von Split.",
    "Ma sœur Paula habite à Lisbonne depuis le printemps.",
    "Mi hermana es alérgica a las avellanas.",
    "O meu voo para Lisboa parte às sete.",
    "Il mio treno per Bologna parte dal binario nove.",
    "Mijn fiets staat bij de bakker in Utrecht.",
]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Wie heißt mein Boot", 0),
        ("Erinnere mich, in welchem Hafen das Boot liegt", 0),
        ("Dans quelle ville habite ma sœur Paula ?", 1),
        ("Rappelle-moi où habite ma sœur Paula", 1),
        ("Dime a qué es alérgica mi hermana", 2),
        ("¿Quién es alérgica a las avellanas", 2),
        ("Onde parte o meu voo para Lisboa", 3),
        ("Dimmi da quale binario parte il mio treno per Bologna", 4),
        ("Waar staat mijn fiets", 5),
        ("Vertel me waar mijn fiets staat", 5),
    ],
)
def test_other_languages_ask_without_a_question_mark(text, place):
    index = TurnIndex()
    index.add([Turn("user", said, "") for said in ELSEWHERE])
    found = index.find(text, None)
    assert int(found.words.argmax()) == place
    assert decide(text, found, index.turns, range(len(ELSEWHERE)), 1.0) is Fetch.WINDOW


@pytest.mark.parametrize(
    "text", ["Das war ein schöner Tag am Hafen.", "Quand je suis arrivé, ma sœur dormait.", "Grazie, a domani!"]
)
def test_talk_in_other_languages_fetches_nothing(text):
    assert asked_part(text) == ""


def test_english_words_that_say_nothing_elsewhere_are_searched_for():
    assert telling("Who made the hat in the war?") == ["made", "hat", "war"]
    assert telling("Wie hieß das Boot, das im Hafen lag?") == ["hieß", "boot", "hafen", "lag"]


def test_a_remark_with_a_question_behind_it_takes_free_room_only():
    text = "I was out on the water all day and it was so calm, you would have loved it. Is the boat painted green?"
    assert decided(text) is Fetch.FREE_ROOM


def test_the_dearer_the_prefix_the_stronger_the_need_must_be():
    text = "Which boat, house or car should be painted for the summer?"
    assert decided(text, lost=0.0) is Fetch.WINDOW
    assert decided(text, lost=1.0) is Fetch.FREE_ROOM


def test_meaning_counts_as_words_do():
    index = indexed()
    near = Found(*(np.zeros(len(OLD), np.float32),) * 2, *(np.array([0.6, 0, 0, 0], np.float32),) * 2)
    far = Found(*(np.zeros(len(OLD), np.float32),) * 4)
    for found, expected in ((near, Fetch.WINDOW), (far, Fetch.NOTHING)):
        assert decide("Where does her sibling reside nowadays?", found, index.turns, range(4), 1.0) is expected


def test_what_is_asked_is_found_among_remarks():
    assert asked_part("Hm. What was the name of the hotel? I forgot.") == "What was the name of the hotel?"
    assert asked_part("I see. Really?") == ""


def indexed():
    index = TurnIndex()
    index.add([Turn("user", text, "") for text in OLD])
    return index


def decided(text, *, lost=1.0):
    index = indexed()
    return decide(text, index.find(text, None), index.turns, range(len(OLD)), lost)
