"""The sentences that the verifier learns from: the same in every process, so that it can be made again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from services.chassis.settings import environment

CHECKOUT = Path(__file__).parents[3]
SAID = """
import random
from tools.verifier.rules import filled, varied
chance = random.Random(7)
seeds = ["How do I reset my old password?", "Is it legal to own a dog in Oslo?"]
print([(said.text, said.meaning) for said in (*filled(chance), *varied(seeds * 5, chance))])
"""


def _said(hash_seed: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", SAID],
        cwd=CHECKOUT,
        env={**environment(), "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_sentences_come_in_the_same_order_however_texts_are_hashed():
    assert _said("1") == _said("2")
