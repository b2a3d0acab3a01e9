"""Hard rules: why a text may not get the answer of another one, however near they are. English, as `wording` is.

    numbers     other numbers
    reversal    an odd number of denials and opposites: before/after, buy/sell, with/without
    gender      he where the other says she, or says a name
    connective  "and" where the other says "or"
    habit       "used to" on one side alone
    roles       the same words with their order turned, and nothing that makes the order meaningless

Each costs few true hits (bench.cache counts them); what is less certain is the verifier's business.
"""

from __future__ import annotations

from typing import Literal

from services.cache.features import opposites, order_inversions
from services.cache.wording import Wording

Veto = Literal["numbers", "reversal", "gender", "connective", "habit", "roles"]
# "A and B" is "B and A", "the difference between A and B" is that between B and A.
_SYMMETRIC = frozenset(("and", "or", "versus", "vs", "between", "both", "either"))
_CHOICE, _SUM = frozenset(("or", "either")), frozenset(("and", "both"))


def veto(a: Wording, b: Wording) -> Veto | None:
    """The first rule that refuses; None where none does."""
    if sorted(a.numbers) != sorted(b.numbers):
        return "numbers"
    if (abs(a.denials - b.denials) + opposites(a, b)) % 2:
        return "reversal"
    if a.genders != b.genders and (set(a.genders) != set(b.genders) or len(a.genders) == len(b.genders)):
        return "gender"
    if _connective(a) != _connective(b) and _connective(a) and _connective(b):
        return "connective"
    if a.habit != b.habit:
        return "habit"
    if _roles_turned(a, b):
        return "roles"
    return None


def _connective(text: Wording) -> str:
    choice, both = bool(text.connectives & _CHOICE), bool(text.connectives & _SUM)
    return "" if choice == both else "or" if choice else "and"


def _roles_turned(a: Wording, b: Wording) -> bool:
    if a.connectives & b.connectives & _SYMMETRIC:
        return False
    turned, _ = order_inversions(a, b, content=True)
    if a.passive != b.passive:
        # The verb may have another stem in its other form: prefer, preferred; teach, taught.
        verbs = max(len(a.content - b.content), len(b.content - a.content))
        return verbs <= 1 and a.names == b.names and not turned and _names_doer(a if a.passive else b)
    return a.content == b.content and sorted(a.stems) == sorted(b.stems) and turned > 0


def _names_doer(passive: Wording) -> bool:
    """Whether a name stands before "by" and another one after it: two who can change places."""
    by = passive.words.index("by")
    return not passive.names.isdisjoint(passive.words[:by]) and not passive.names.isdisjoint(passive.words[by:])
