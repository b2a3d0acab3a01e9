"""Keys are found by their variables, told apart by them, and what cannot be one is not used."""

from __future__ import annotations

import pytest

from services.chassis.settings import Secret
from services.providers.keys import found_in, keys_of, looks_wrong


def test_numbered_variables_are_further_keys_in_their_order():
    environ = {"A_API_KEY_10": "ten", "A_API_KEY": " one ", "A_API_KEY_2": "two", "B_API_KEY": "b", "A_API_KEY_X": "x"}
    found = found_in({**environ, "C_API_KEY": "", "PATH": "/bin"})
    assert [key.name for key in keys_of("A_API_KEY", found)] == ["A_API_KEY", "A_API_KEY_2", "A_API_KEY_10"]
    assert keys_of("A_API_KEY", found)[0].secret.reveal() == "one"
    assert keys_of("C_API_KEY", found) == ()


@pytest.mark.parametrize("value", ['"sk-quoted"', "sk with blanks", "sk-ключ", "<your key>", "sk-a\nsk-b"])
def test_what_cannot_be_a_key_is_not_used(value: str):
    assert looks_wrong(Secret(value))
    assert keys_of("A_API_KEY", {"A_API_KEY": Secret(value), "A_API_KEY_2": Secret("sk-good")})[0].name == "A_API_KEY_2"


def test_a_key_never_shows_itself():
    (key,) = keys_of("A_API_KEY", {"A_API_KEY": Secret("sk-canary")})
    assert "sk-canary" not in f"{key} {key!r}"
