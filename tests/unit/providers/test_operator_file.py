"""What is wrong in an operator's providers.toml: named with its place, never ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.chassis.settings import Secret, StartError
from services.providers import operator_file
from services.providers.endpoints import Directory, merged, shipped

ENDPOINT = '[[endpoint]]\nname = "gpu"\nbase_url = "http://h/v1"\nserves = { "gpt-5" = "g" }\n'
MODEL = '[[model]]\nid = "mine"\nvendor = "us"\ntier = "small"\nwindow_tokens = 100\nmax_output_tokens = 10\n'
PRICE = '[[price]]\nmodel = "gpt-5"\ninput_usd_per_mtok = "1"\noutput_usd_per_mtok = "2"\n'


def problems(folder: Path, text: str, keys: dict[str, Secret] | None = None) -> list[str]:
    """What is said about a file, without its name."""
    path = folder / "providers.toml"
    path.write_text(text)
    with pytest.raises(StartError) as refused:
        operator_file.read(path, shipped(), keys)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}.") for line in lines)
    return [line.removeprefix(f"{path}.") for line in lines]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENDPOINT * 2, "endpoint[1].name: is used twice"),
        (MODEL * 2, "model[1].id: is used twice"),
        (PRICE * 2, "price[1].model: has this price twice, for the same endpoint, day and size"),
        (PRICE + 'endpoint = "opneai"\n', "price[0].endpoint: 'opneai' is no endpoint"),
        (PRICE.replace("gpt-5", "claude-opus"), "price[0].model: 'claude-opus' is an alias; the id is claude-opus-5-5"),
        (
            ENDPOINT.replace("gpt-5", "claude-opus"),
            "endpoint[0].serves.claude-opus: is an alias; the id is claude-opus-5-5",
        ),
        (
            ENDPOINT + 'price_provider = "opneai"\n',
            "endpoint[0].price_provider: 'opneai' is no provider of genai-prices",
        ),
        (MODEL + 'aliases = ["gpt-5"]\n', "model[0].aliases: 'gpt-5' is the id of a model"),
        (MODEL + 'aliases = ["a", "a"]\n', "model[0].aliases: 'a' is used twice"),
        (MODEL.replace("mine", "my own"), "model[0].id: must be 1 to 128 characters without blanks"),
        (MODEL.replace("= 100", "= -100"), "model[0].window_tokens: must be above 0"),
        (
            MODEL.replace("= 10\n", "= 101\n"),
            "model[0].max_output_tokens: must be above 0, and not above window_tokens",
        ),
        (MODEL.replace("= 10\n", "= 0\n"), "model[0].max_output_tokens: must be above 0, and not above window_tokens"),
        (ENDPOINT.replace("serves", "#"), "endpoint[0].serves: is missing"),
        (
            ENDPOINT.replace('"gpt-5" = "g"', ""),
            "endpoint[0]: serves must name a model, and the server's own name of each",
        ),
        (ENDPOINT.replace('"g"', '""'), "endpoint[0]: serves must name a model, and the server's own name of each"),
        (ENDPOINT.replace("gpu", "a b"), "endpoint[0]: name must be 1 to 128 characters without blanks"),
    ],
)
def test_what_would_be_ignored_is_named_with_its_place(tmp_path: Path, text: str, said: str):
    assert said in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://", "base_url has no host, or a port that is none"),
        ("http://ho st/v1", "base_url has no host, or a port that is none"),
        ("http://h:99999/v1", "base_url has no host, or a port that is none"),
        ("http://[::1/v1", "base_url is no address"),
        ("https://user:secret@h/v1", "base_url must have no user and password: keys come from key_variable"),
        ("http://h/v1#part", "base_url must have no fragment"),
        ("https://h/v1/chat/completions", "base_url must end before /chat/completions, which the format adds"),
        ("https://h/v1/messages/", "base_url must end before /messages, which the format adds"),
    ],
)
def test_an_address_that_cannot_be_asked_is_refused(tmp_path: Path, address: str, said: str):
    assert problems(tmp_path, ENDPOINT.replace("http://h/v1", address)) == [f"endpoint[0]: {said}"]


@pytest.mark.parametrize(
    "address",
    ["http://[::1]:8000/v1", "https://h/v1/", "https://bücher.example/v1", "https://h/d?api-version=2024-10-21"],
)
def test_an_address_that_can_be_asked_is_taken(tmp_path: Path, address: str):
    path = tmp_path / "providers.toml"
    path.write_text(ENDPOINT.replace("http://h/v1", address), encoding="utf-8")
    assert operator_file.read(path, shipped()).endpoint[0].base_url == address


@pytest.mark.parametrize("keys", [{}, {"OTHER_API_KEY": Secret("sk")}, {"GPU_API_KEY": Secret("'quoted'")}])
def test_an_endpoint_whose_key_is_missing_is_refused_by_its_name_alone(tmp_path: Path, keys: dict[str, Secret]):
    text = ENDPOINT + 'key_variable = "GPU_API_KEY"\n'
    said = "endpoint[0].key_variable: GPU_API_KEY is not set, or holds no key"
    assert problems(tmp_path, text, keys) == [said]
    path = tmp_path / "providers.toml"
    assert operator_file.read(path, shipped(), {"GPU_API_KEY_2": Secret("sk")})
    assert operator_file.read(path, shipped()), "simulated models need no key"


def test_a_name_that_an_operator_takes_is_theirs_alone(tmp_path: Path):
    path = tmp_path / "providers.toml"
    path.write_text(MODEL + 'aliases = ["claude-opus"]\n')
    found = Directory(merged(shipped().models, operator_file.read(path, shipped()).model), ())
    assert found.resolve("claude-opus").id == "mine"
    assert [model.id for model in found.listed if "claude-opus" in model.aliases] == ["mine"]


def test_the_file_of_the_documentation_is_read_as_it_stands(tmp_path: Path):
    page = (Path(__file__).parents[3] / "docs/providers.md").read_text(encoding="utf-8")
    path = tmp_path / "providers.toml"
    path.write_text(page.split("```toml\n")[1].split("```")[0])
    file = operator_file.read(path, shipped(), {"GPU_API_KEY": Secret("sk")})
    assert [row.name for row in file.endpoint] == ["gpu"]
    assert [row.since for row in file.price] == ["2026-07-01", "2027-01-01"]
