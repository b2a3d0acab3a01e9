"""Settings have their defaults, and say everything that is wrong at once."""

from __future__ import annotations

import pytest

from services.chassis.settings import StartError
from services.context.settings import load


def test_defaults():
    settings = load({})
    assert (settings.port, settings.metrics_port, settings.inline_bytes) == (50053, 9463, 20_000)


def test_variables_are_read():
    settings = load({"OMNISPHERE_CONTEXT_PORT": "0", "OMNISPHERE_CONTEXT_MEMO_MESSAGES": "7"})
    assert (settings.port, settings.memo_messages) == (0, 7)


def test_all_values_out_of_range_are_named():
    with pytest.raises(StartError) as refused:
        load({"OMNISPHERE_CONTEXT_THREADS": "0", "OMNISPHERE_CONTEXT_MEMO_MESSAGES": "-1"})
    assert str(refused.value).splitlines() == [
        "OMNISPHERE_CONTEXT_MEMO_MESSAGES: must be at least 1",
        "OMNISPHERE_CONTEXT_THREADS: must be at least 1",
    ]
