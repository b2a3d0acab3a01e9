"""python -m bench.context.written: which weights of the ranker find more, on conversations written for this purpose.

The ranker's weights (services/context/rank.py) are round; these are the conversations that they were chosen on.
Two friends talk over many days; each tells the same kinds of facts, in words that are not those of the questions, among
small talk on the same subjects. A question asks for one fact of one of them, or for all facts of a kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

import numpy as np

from services.context import rank
from services.context.search import TurnIndex
from services.context.turns import Turn
from services.context.vectors import Vectors
from services.embedding.onnx_minilm import OnnxMiniLM

NAMES = ("Ilse", "Tomas")
# (what the other one asks before it, how it is told, the values, how it is asked for later)
Fact = tuple[str, str, tuple[str, ...], str]
FACTS: tuple[Fact, ...] = (
    (
        "Any news from home?",
        "We adopted a puppy, a {}. The sofa is lost.",
        ("beagle", "poodle", "whippet"),
        "What breed is {n}'s dog?",
    ),
    (
        "How is work?",
        "I handed in my notice and start at the {} in autumn.",
        ("observatory", "bakery", "town archive"),
        "Where will {n} have a new job?",
    ),
    (
        "Were you away?",
        "Just back from {}, my feet still hurt from all the stairs.",
        ("Lisbon", "Bergen", "Naples"),
        "Which city did {n} travel to?",
    ),
    (
        "You look tired.",
        "I practised the {} until midnight, the recital comes closer.",
        ("cello", "clarinet", "accordion"),
        "Which instrument does {n} play?",
    ),
    (
        "Shall I bring dessert?",
        "Please nothing with {}, I get a rash from it.",
        ("hazelnuts", "strawberries", "milk"),
        "What is {n} allergic to?",
    ),
    (
        "What happened to your arm?",
        "I slipped on the {} and the wrist is sprained.",
        ("ice rink", "garden steps", "ferry"),
        "How did {n} get injured?",
    ),
    (
        "What are you reading?",
        "A thick thing about {}, I cannot put it down.",
        ("lighthouses", "mushrooms", "the plague"),
        "What is the book about that {n} reads?",
    ),
    (
        "And the family?",
        "My brother got married to a {} from the north.",
        ("vet", "baker", "pilot"),
        "What does {n}'s sister-in-law do for a living?",
    ),
    (
        "How did you get here?",
        "By the old {}, it still runs after all these years.",
        ("Volvo", "tandem", "scooter"),
        "What vehicle does {n} own?",
    ),
    (
        "Anything planned?",
        "In spring I will run the {} with two colleagues.",
        ("marathon", "river race", "night trail"),
        "Which competition does {n} want to take part in?",
    ),
    (
        "What did you cook?",
        "My grandmother's {}, it took the whole afternoon.",
        ("goulash", "fish soup", "dumplings"),
        "Which family recipe did {n} make?",
    ),
    (
        "You have paint on your nose.",
        "I am doing the {} in yellow, it was so gloomy.",
        ("kitchen", "hallway", "shed"),
        "Which room did {n} renovate?",
    ),
)
SMALL_TALK = (
    ("How are you today?", "Fine, thanks, a bit sleepy."),
    ("Did you see the rain?", "Yes, the whole street was under water."),
    ("I walked along the river.", "Lovely, the light must have been good."),
    ("My neighbour's dog barked all night.", "Poor you, bring earplugs."),
    ("Is there a good bakery near you?", "Two streets on, but they close early."),
    ("I should read more.", "Me too, I fall asleep over every book."),
    ("The trains were late again.", "As always in autumn."),
    ("Do you like soup?", "In winter, yes, with a lot of bread."),
    ("I heard music from the town hall.", "That was the choir, they practise on Mondays."),
    ("Let us meet on Friday.", "Good, at the usual place."),
    ("My sister called.", "What did she say?"),
    ("I need a holiday.", "So does everybody I know."),
    ("That film was far too long.", "I left before the end."),
    ("Coffee or tea?", "Tea, please, the strong one."),
    ("The kitchen tap drips.", "You need a new washer."),
    ("I want to move to the sea some day.", "Take me with you."),
)


@dataclass(frozen=True, slots=True)
class Written:
    """One conversation, and questions with the places of the turns that answer them."""

    turns: Sequence[Turn]
    questions: Sequence[tuple[str, frozenset[int]]]


def written(seed: int, days: int = 12) -> Written:
    """A conversation of a seed: each kind of fact is told by both, at times twice with another value."""
    draw = Random(f"written {seed}")  # noqa: S311 - to be repeatable
    told: list[tuple[Fact | None, str]] = [
        (fact, name) for fact in FACTS for name in NAMES for _ in range(draw.choice((1, 1, 2)))
    ]
    talk = draw.sample(SMALL_TALK, len(SMALL_TALK))
    told += [(None, draw.choice(NAMES)) for _ in talk]
    draw.shuffle(told)
    turns: list[Turn] = []
    answers: dict[tuple[str, str], set[int]] = {}
    for place, (fact, name) in enumerate(told):
        date = f"{1 + place * days // len(told)} March 2024"
        other = NAMES[1 - NAMES.index(name)]
        before, said = talk.pop() if fact is None else (fact[0], fact[1].format(draw.choice(fact[2])))
        turns += [Turn(other, before, date), Turn(name, said, date)]
        if fact is not None:
            answers.setdefault((fact[3], name), set()).add(len(turns) - 1)
    questions = [(question.format(n=name), frozenset(at)) for (question, name), at in answers.items()]
    return Written(turns, questions)


def recall(
    conversations: Sequence[tuple[TurnIndex, Written]], vectors: Vectors, tokens: int, weights: rank.Weights
) -> float:
    """The share of the answering turns that fit into so many tokens (four bytes each), best first; in percent."""
    shares = []
    for index, conversation in conversations:
        for question, places in conversation.questions:
            scores = rank.ranked(index.find(question, vectors.make(question)), index.turns, question, weights)
            left, kept = tokens * 4, set()
            for place in np.argsort(-scores, kind="stable").tolist():
                left -= len(conversation.turns[place].line) + 1
                if left < 0:
                    break
                kept.add(place)
            shares.append(len(places & kept) / len(places))
    return round(100 * sum(shares) / len(shares), 2)


def main() -> None:
    """A line per set of weights."""
    parser = argparse.ArgumentParser(prog="python -m bench.context.written", description=__doc__)
    parser.add_argument("--conversations", type=int, default=6)
    given = parser.parse_args()
    vectors = Vectors(OnnxMiniLM, most=100_000)
    conversations = []
    for seed in range(given.conversations):
        conversation, index = written(seed), TurnIndex()
        index.add(conversation.turns)
        vectors.fill(index, make=len(conversation.turns))
        conversations.append((index, conversation))
    for neighbour, named in product((0.0, 0.15, 0.3, 0.45), (1.0, 1.2, 1.4, 1.6)):
        weights = rank.Weights(neighbour=neighbour, named=named)
        found = {tokens: recall(conversations, vectors, tokens, weights) for tokens in (60, 120, 240, 480)}
        mean = sum(found.values()) / len(found)
        print(f"neighbour {neighbour:.2f}  named {named:.1f}: {mean:.2f}  {found}")


if __name__ == "__main__":
    main()
