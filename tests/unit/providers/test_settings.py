"""Settings of the service: from the environment, all problems at once, keys never shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.chassis.settings import StartError
from services.providers.settings import load


def test_an_empty_environment_has_the_defaults():
    settings = load({})
    assert (settings.port, settings.simulator, settings.simulator_url) == (50054, "auto", "http://127.0.0.1:9180")
    assert settings.discover
    assert settings.config is None
    assert not settings.keys


def test_every_value_has_a_variable():
    settings = load(
        {
            "OMNISPHERE_PROVIDERS_PORT": "7",
            "OMNISPHERE_PROVIDERS_METRICS_PORT": "-1",
            "OMNISPHERE_PROVIDERS_CONFIG": "/etc/omnisphere/providers.toml",
            "OMNISPHERE_SIMULATOR": "off",
            "OMNISPHERE_SIMULATOR_URL": "http://simulator:9180",
            "OMNISPHERE_DISCOVER": "off",
            "OMNISPHERE_PROVIDERS_DISCOVER_EVERY": "5m",
            "OMNISPHERE_PROVIDERS_CONNECT_TIMEOUT": "250ms",
            "OMNISPHERE_PROVIDERS_FIRST_TOKEN_TIMEOUT": "2s",
            "OMNISPHERE_PROVIDERS_IDLE_TIMEOUT": "3s",
            "OMNISPHERE_PROVIDERS_MOST_ANSWER_BYTES": "1024",
        }
    )
    assert (settings.port, settings.metrics_port, settings.most_answer_bytes) == (7, -1, 1024)
    assert settings.config == Path("/etc/omnisphere/providers.toml")
    assert (settings.simulator, settings.simulator_url, settings.discover) == ("off", "http://simulator:9180", False)
    assert settings.discover_every == timedelta(minutes=5)
    assert settings.connect_timeout == timedelta(seconds=0.25)
    assert (settings.first_token_timeout, settings.idle_timeout) == (timedelta(seconds=2), timedelta(seconds=3))


def test_keys_are_found_by_the_end_of_their_names_and_without_line_ends():
    settings = load(
        {
            "OPENAI_API_KEY": "sk-canary\n",
            "MY_GPU_API_KEY": "sk-other",
            "EMPTY_API_KEY": "",
            "BLANK_API_KEY": " \n",
            "API_KEY_FILE": "/run/secrets/x",
            "HOME": "/root",
        }
    )
    assert set(settings.keys) == {"OPENAI_API_KEY", "MY_GPU_API_KEY"}
    assert settings.keys["OPENAI_API_KEY"].reveal() == "sk-canary"


def test_keys_are_never_shown():
    settings = load({"OPENAI_API_KEY": "sk-canary"})
    assert "sk-canary" not in f"{settings!r} {settings} {settings.keys}"


def test_all_problems_are_named_at_once():
    with pytest.raises(StartError) as refused:
        load(
            {
                "OMNISPHERE_PROVIDERS_PORT": "many",
                "OMNISPHERE_SIMULATOR": "maybe",
                "OMNISPHERE_DISCOVER": "perhaps",
                "OMNISPHERE_PROVIDERS_IDLE_TIMEOUT": "soon",
                "OPENAI_API_KEY": "sk-canary",
            }
        )
    lines = str(refused.value).splitlines()
    assert len(lines) == 4
    names = ("OMNISPHERE_PROVIDERS_PORT", "OMNISPHERE_SIMULATOR", "OMNISPHERE_DISCOVER")
    for name in (*names, "OMNISPHERE_PROVIDERS_IDLE_TIMEOUT"):
        assert any(line.startswith(f"{name}: ") for line in lines)
    assert "sk-canary" not in str(refused.value)
