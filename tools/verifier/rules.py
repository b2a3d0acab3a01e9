"""Pairs by rules: families of phrases filled in, and small changes of a sentence that keep or turn its meaning."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.verifier.phrases import FAMILIES, FILLERS, Family

_FILLED_PER_FAMILY = 60


def _pairs(text: str) -> list[tuple[str, str]]:
    found = []
    for pair in " ".join(text.split()).split(";"):
        one, _, other = pair.partition("|")
        found.append((one.strip(), other.strip()))
    return found


_SYNONYMS = _pairs(
    """|; best|most effective; start|begin; buy|purchase; movie|film; car|automobile; get rid of|remove; quick|fast;
    quickly|fast; job|position; important|essential; reason|cause; ways|methods; way|method; use|utilise;
    happen|occur; help|assist; big|large; kids|children; phone|cell phone; improve|enhance; need|require;
    get|obtain; show|display; answer|reply; end|finish; mistake|error; doctor|physician; money|cash; picture|photo;
    smart|intelligent; earn|make; learn|study; main|primary; types|kinds; people|persons; difficult|hard;
    whole|entire; usually|normally; almost|nearly; maybe|perhaps; begin|start; fix|repair; choose|pick;
    explain|describe"""
)
_OPPOSITES = _pairs(
    """|; before|after; more|less; increase|decrease; buy|sell; best|worst; with|without; good|bad; high|low;
    first|last; start|stop; open|close; old|young; add|remove; import|export; gain|lose; advantages|disadvantages;
    always|never; men|women; husband|wife; inside|outside; north|south; legal|illegal; public|private;
    upload|download; cheap|expensive; safe|dangerous; love|hate; win|lose; up|down; over|under"""
)
_REWRITES = [
    (r"^How do I ", ("How can I ", "How do you ", "How to ", "What is the best way to ", "How should I ")),
    (r"^How can I ", ("How do I ", "How can you ", "How can one ", "How could I ", "What can I do to ", "How do you ")),
    (r"^How to ", ("How do I ", "How can I ", "How do you ")),
    (r"^How do you ", ("How do I ", "How can you ", "How does one ", "How can I ")),
    (r"^What is the best ", ("Which is the best ", "What's the best ", "What would be the best ")),
    (r"^What are the best ", ("Which are the best ", "What are some of the best ", "What are some good ")),
    (r"^What is ", ("What's ", "What exactly is ", "Can you tell me what is ")),
    (r"^What are ", ("Which are ", "What exactly are ", "What are some of ")),
    (r"^Why ", ("What is the reason why ", "For what reason ", "Why exactly ")),
    (r"^Who is ", ("Who's ", "Who exactly is ")),
    (r"^Which ", ("What ",)),
    (r"^Can I ", ("Is it possible to ", "Could I ", "Am I able to ")),
    (r"^Should I ", ("Would you advise me to ", "Do you think I should ")),
    (r"^Is there ", ("Is there actually ", "Does there exist ")),
]
_FRAMES = ("{}", "{}", "Please tell me: {}", "{} Thanks!", "I was wondering: {}", "Quick question: {}", "Hi, {}")
_LIMITS = (
    "in India",
    "in the US",
    "for beginners",
    "for women",
    "for men",
    "without a degree",
    "on a Mac",
    "in winter",
    "at night",
    "for free",
    "under 100 dollars",
    "at home",
    "for a small company",
    "with children",
    "for students",
    "in Python",
    "by law",
)
_CONTRACTIONS = (("What is", "What's"), ("do not", "don't"), ("is not", "isn't"), ("I am", "I'm"), ("cannot", "can't"))
_QUESTION_WORDS = ("How", "Why", "When", "Where")


@dataclass(frozen=True, slots=True)
class Said:
    """A text and what it means: texts of one meaning may share an answer."""

    text: str
    meaning: str


def filled(chance: random.Random) -> Iterator[Said]:
    """The families with their holes filled; each near line is a meaning of its own."""
    for number, family in enumerate(FAMILIES):
        for _ in range(_FILLED_PER_FAMILY):
            holes = _holes(family, chance)
            name = f"family {number} {[value for hole, value in sorted(holes.items()) if hole != 'm']}"
            for text in chance.sample(family.same, min(len(family.same), chance.choice((2, 2, 3, 4)))):
                yield Said(_tidy(text.format(**holes)), name)
            for near in chance.sample(family.near, min(len(family.near), 2)):
                asked = near.format(**holes)
                yield Said(_tidy(asked), f"{name} > {asked}")


def _holes(family: Family, chance: random.Random) -> dict[str, str]:
    holes: dict[str, str] = {"m": chance.choice(FILLERS["modifier"])}
    free = ["x", "y"]
    for kind in family.fill:
        value = chance.choice([filler for filler in FILLERS[kind] if filler not in holes.values()])
        if "|" in value:
            holes |= dict(zip("abc", (piece.strip() for piece in value.split("|")), strict=False))
        else:
            holes[free.pop(0)] = value
    return holes


def _tidy(text: str) -> str:
    text = re.sub(r"\ba ([aeiou]\w+)", r"an \1", text)
    return text[0].upper() + text[1:]


def varied(seeds: Sequence[str], chance: random.Random) -> Iterator[Said]:
    """Each seed, ways to say the same, and sentences that differ in one thing that matters."""
    for seed in seeds:
        yield Said(seed, seed)
        # Each once, in the order they were made: a set has another order in every process.
        for kept in dict.fromkeys(_keep(seed, chance) for _ in range(4)):
            if kept != seed:
                yield Said(kept, seed)
        for turned in dict.fromkeys(_turn(seed, chance) for _ in range(5)):
            if turned != seed:
                yield Said(turned, f"{seed} > {turned}")


def _keep(text: str, chance: random.Random) -> str:
    """Say the same otherwise; may do nothing."""
    changed = text
    for pattern, ways in _REWRITES:
        if re.match(pattern, changed) and chance.random() < 0.6:
            changed = re.sub(pattern, chance.choice(ways), changed)
            break
    if chance.random() < 0.35:
        changed = _swapped(changed, _SYNONYMS, chance)
    roll = chance.random()
    if roll < 0.15:
        changed = changed.rstrip("?.! ")
    elif roll < 0.25:
        changed = changed.lower()
    elif roll < 0.35:
        changed = re.sub(r"\b(the|a|an) ", "", changed, count=1)
    elif roll < 0.45:
        for long, short in _CONTRACTIONS:
            changed = changed.replace(long, short)
    elif roll < 0.55:
        changed = chance.choice(_FRAMES).format(changed)
    elif roll < 0.65:
        changed = _misspelt(changed, chance)
    return changed


def _turn(text: str, chance: random.Random) -> str:
    """Change one thing that matters; may find nothing to change."""
    ways = (_denied, _opposed, _renumbered, _renamed, _limited, _asked_otherwise, _reversed)
    return chance.choice(ways)(text, chance)


def _swapped(text: str, pairs: list[tuple[str, str]], chance: random.Random) -> str:
    for a, b in chance.sample(pairs, len(pairs)):
        for old, new in ((a, b), (b, a)):
            changed = re.sub(rf"\b{old}\b", new, text, count=1)
            if changed != text:
                return changed
    return text


def _misspelt(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    places = [n for n, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if places:
        place = chance.choice(places)
        at = chance.randrange(1, len(words[place]) - 2)
        word = words[place]
        words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def _denied(text: str, chance: random.Random) -> str:
    return re.sub(r"\b(is|are|was|can|should|do|does|did|will|would|could|to)\b", r"\1 not", text, count=1)


def _opposed(text: str, chance: random.Random) -> str:
    return _swapped(text, _OPPOSITES, chance)


def _renumbered(text: str, chance: random.Random) -> str:
    return re.sub(r"\d+", lambda found: str(int(found.group()[:9]) + chance.choice((1, 2, 5, 10))), text, count=1)


def _renamed(text: str, chance: random.Random) -> str:
    names = [*re.finditer(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: [A-Z][a-z]+)?", text)]
    if not names:
        return text
    found = chance.choice(names)
    return text[: found.start()] + chance.choice(FILLERS["place"] + FILLERS["full"]) + text[found.end() :]


def _limited(text: str, chance: random.Random) -> str:
    end = text.rstrip("?.! ")
    return f"{end} {chance.choice(_LIMITS)}{text[len(end) :].strip() or '?'}"


def _asked_otherwise(text: str, chance: random.Random) -> str:
    first, _, rest = text.partition(" ")
    if first not in _QUESTION_WORDS:
        return text
    return f"{chance.choice([word for word in _QUESTION_WORDS if word != first])} {rest}"


def _reversed(text: str, chance: random.Random) -> str:
    """From A to B becomes from B to A."""
    return re.sub(r"\b([\w'-]+) (to|than|from|into|over|by|of) ([\w'-]+)", r"\3 \2 \1", text, count=1)
