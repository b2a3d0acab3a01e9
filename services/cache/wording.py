"""What a text says in words: numbers, names, denials and the rest that a change of may change the answer.

English; of a text in another language only its words, numbers and names are seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[^\W_]+(?:['\u2019.,-][^\W_]+)*(?:n['\u2019]t)?", re.UNICODE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_DIGITS = {word: str(number) for number, word in enumerate(_SMALL) if number > 1} | {"zero": "0"}
_ORDINALS = {"first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th"}
_DENIALS = _set(
    """not no never none nobody nothing nowhere neither nor without cannot hardly barely isn't aren't wasn't
    weren't don't doesn't didn't won't wouldn't can't couldn't shouldn't hasn't haven't hadn't unable except
    avoid non isnt dont doesnt didnt wont cant"""
)
_QUESTIONS = _set("what which who whom whose when where why how")
_STOP = _set(
    """a an the of to in on at for from by with about into and or but if then than so as that this these those it
    its is are was were be been being am do does did done have has had having will would can could should
    shall may might must i you he she we they me him her us them my your his our their mine yours what which
    who whom whose when where why how there here some any all one ones get got go going just also too very
    really please s t m re ve d ll name give tell list show many much more most like good best way ways"""
)
_TENSES = {
    "past": _set("was were did had used former formerly previously ago been"),
    "future": _set("will would gonna shall won't"),
}
_PERSONS = {
    "he": _set("he him his himself"),
    "she": _set("she her hers herself"),
    "they": _set("they them their theirs themselves"),
    "i": _set("i me my mine myself"),
    "you": _set("you your yours yourself"),
}
_GENDERS = {word: name for name in ("he", "she") for word in _PERSONS[name]}
_CONNECTIVES = _set("and or than versus vs between both either")
_BE = _set("is are was were be been being am")
_ASKING = _set("""is are was were am do does did can could should would will shall may might must has have had""")
_QUANTITIES = frozenset((("how", "many"), ("how", "much"), ("number", "of"), ("amount", "of"), ("count", "of")))
_SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ies", "ied", "ers", "er", "est", "ed", "es", "ly", "s")
_SHORTEST_STEM = 3
_MOST_WORDS_KNOWN = 16_384


@dataclass(frozen=True, slots=True)
class Wording:
    """A text, taken apart. `words` are lower-case and in order, `stems` the same without endings.

    `places`: where each stem stands that is there once. `genders`: he and she, in their order. `connectives`: and, or,
    than. `passive`: something is done by somebody.
    """

    words: tuple[str, ...]
    stems: tuple[str, ...]
    bag: frozenset[str]
    stem_set: frozenset[str]
    content: frozenset[str]
    bigrams: frozenset[tuple[str, str]]
    places: dict[str, int]
    numbers: tuple[str, ...]
    identifiers: frozenset[str]
    names: frozenset[str]
    denials: int
    question: str
    tenses: frozenset[str]
    persons: frozenset[str]
    genders: tuple[str, ...]
    connectives: frozenset[str]
    passive: bool
    habit: bool
    quantity: bool
    form: str


def wording(text: str) -> Wording:
    """Take a text apart."""
    raw = _WORD.findall(text.replace("\u2019", "'"))
    words = tuple(_plain(word.lower()) for word in raw)
    known = [_known(word) for word in words]
    stems = tuple(word.stem for word in known)
    bag = frozenset(words)
    counts: dict[str, int] = {}
    for one in stems:
        counts[one] = counts.get(one, 0) + 1
    names = [word for word, said in zip(words[1:], raw[1:], strict=True) if said[0].isupper() and word not in _STOP]
    return Wording(
        words=words,
        stems=stems,
        bag=bag,
        stem_set=frozenset(stems),
        content=frozenset([word.stem for word in known if word.is_content]),
        bigrams=frozenset(pairwise(stems)),
        places={stem: place for place, stem in enumerate(stems) if counts[stem] == 1},
        numbers=tuple([number for word in known if word.numbers for number in word.numbers]),
        identifiers=frozenset([word for word, facts in zip(words, known, strict=True) if facts.is_identifier]),
        names=frozenset(names),
        denials=sum([word.is_denial for word in known]),
        question=next((word for word in words if word in _QUESTIONS), ""),
        tenses=frozenset([name for name, members in _TENSES.items() if not bag.isdisjoint(members)]),
        persons=frozenset([name for name, members in _PERSONS.items() if not bag.isdisjoint(members)]),
        genders=tuple([_GENDERS[word] for word in words if word in _GENDERS]),
        connectives=bag & _CONNECTIVES,
        passive="by" in bag and not bag.isdisjoint(_BE),
        habit=("use" in bag or "used" in bag) and any(a in ("use", "used") and b == "to" for a, b in pairwise(words)),
        quantity=_asks_quantity(words),
        form=_form(words, bag),
    )


class _Known(NamedTuple):
    """What there is to know of a word alone."""

    stem: str
    is_content: bool
    is_denial: bool
    is_identifier: bool
    numbers: tuple[str, ...]


@lru_cache(maxsize=_MOST_WORDS_KNOWN)
def _known(word: str) -> _Known:
    return _Known(
        stem(word),
        is_content=word not in _STOP and word not in _DENIALS,
        is_denial=word in _DENIALS or word.endswith("n't"),
        is_identifier=not word.isalpha() and _mixes(word),
        numbers=tuple(_numbers(word)),
    )


def stem(word: str) -> str:
    """The word without its ending, roughly: enough to see that two words are forms of one."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            base = word[: -len(suffix)]
            if suffix in ("ies", "ied"):
                return base + "y"
            if len(base) > _SHORTEST_STEM and base[-1] == base[-2] and base[-1] not in "sl":
                base = base[:-1]
            return base.removesuffix("e")
    return word.removesuffix("e") if len(word) > _SHORTEST_STEM else word


def _mixes(word: str) -> bool:
    """Whether it has letters and digits: S5, #0471-B, v2."""
    return any(map(str.isdigit, word)) and any(map(str.isalpha, word))


def _asks_quantity(words: tuple[str, ...]) -> bool:
    if words[:1] == ("count",):
        return True
    return any(pair in _QUANTITIES for pair in pairwise(words))


def _form(words: tuple[str, ...], bag: frozenset[str]) -> str:
    """What kind of answer is wanted: yes or no, a fact, or something done."""
    if words[:1] and words[0] in _ASKING:
        return "yes/no"
    return "question" if bag & _QUESTIONS else "order"


def _plain(word: str) -> str:
    return word.removesuffix("'s")


def _numbers(word: str) -> list[str]:
    if word in _DIGITS:
        return [_DIGITS[word]]
    if word in _ORDINALS:
        return [_ORDINALS[word][0]]
    return [number.replace(",", "") for number in _NUMBER.findall(word)]
