"""Texts are found by words and by meaning, alone and with the one before them; ranks follow."""

from __future__ import annotations

from services.context.rank import ranked, speakers_meant
from services.context.search import TurnIndex
from services.context.turns import Turn
from services.context.vectors import Vectors
from services.context.words import telling
from services.embedding.embedder import EmbedderDamaged
from services.embedding.hashing import HashingEmbedder

TALK = [
    Turn("Ann", "What is your cat called?", "8 May 2023"),
    Turn("Bob", "Luna.", "8 May 2023"),
    Turn("Ann", "I went hiking in the Dolomites.", "9 May 2023"),
    Turn("Bob", "I prefer sailing near Split.", "9 May 2023"),
    Turn("Ann", "\u6211\u4eec\u5728\u5317\u4eac\u89c1\u9762", "1 June 2023"),
]


def indexed(turns=TALK, *, vectors=True):
    index = TurnIndex()
    index.add(turns[:2])
    index.add(turns[2:])
    if vectors:
        Vectors(HashingEmbedder, most=100).fill(index, make=100)
    return index


def order(query, *, vectors=True):
    index = indexed(vectors=vectors)
    found = index.find(query, HashingEmbedder().embed(query) if vectors else None)
    scores = ranked(found, index.turns, query)
    return [place for place in sorted(range(len(TALK)), key=lambda at: (-scores[at], at)) if scores[place] > 0]


def test_an_answer_is_found_by_the_words_of_its_question():
    assert set(order("What is the cat's name?", vectors=False)[:2]) == {0, 1}


def test_words_are_found_in_other_forms_and_signs_one_by_one():
    assert order("Who hikes?", vectors=False)[0] == 2
    assert order("\u5317\u4eac", vectors=False)[0] == 4


def test_a_day_is_found():
    assert order("What happened in June?", vectors=False) == [4, 3]


def test_the_turns_of_the_speaker_who_is_named_count_more():
    assert speakers_meant("What does Bob like?", {"Ann", "Bob"}) == {"Bob"}
    assert speakers_meant("What do Ann and Bob like?", {"Ann", "Bob"}) == set()
    assert speakers_meant("What is my favourite?", {"user", "assistant"}) == {"user"}
    assert speakers_meant("What did you say about it?", {"user", "assistant"}) == {"assistant"}
    assert speakers_meant("What did you say about my cat?", {"user", "assistant"}) == set()


def test_without_all_vectors_words_alone_decide():
    index = indexed(vectors=False)
    assert index.without_vector() == list(range(5))
    index.put_vector(0, HashingEmbedder().embed("x"))
    assert index.find("cat", HashingEmbedder().embed("cat")).meaning is None


def test_special_signs_are_plain_words():
    index = indexed()
    for query in ('"; DROP TABLE single; --', "NEAR(cat OR", "<|endoftext|>", "*", "", "AND OR NOT"):
        assert len(index.find(query, None).words) == len(TALK)


def test_function_words_say_nothing():
    assert telling("What is it that you would have done with the Boat and the boat?") == ["boat"]
    assert len(telling(" ".join(f"w{n}" for n in range(1_000)))) == 64


def test_a_long_text_has_the_mean_of_its_passages():
    vectors = Vectors(HashingEmbedder, most=10)
    vector = vectors.make("word " * 2_000)
    assert vector is not None
    assert abs(float(vector @ vector) - 1) < 1e-3
    assert vectors.known("word " * 2_000) is vector


def test_without_an_embedder_there_are_no_vectors():
    def damaged():
        raise EmbedderDamaged("x")

    vectors, index = Vectors(damaged, most=10), indexed(vectors=False)
    assert vectors.make("x") is None
    assert len(vectors.fill(index, make=10)) == len(TALK)
