"""The shipped files, the operator's file, and the directory made of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from omnisphere.model.v1 import model_pb2
from services.chassis.errors import NoEndpoint, UnknownModel
from services.chassis.settings import Secret, StartError
from services.providers import operator_file
from services.providers.endpoints import Directory, Endpoint, merged, shipped
from services.providers.keys import Key
from services.providers.prices import ListPrice, look_up
from services.providers.tariff import PriceRow
from tests.unit.providers.samples import model_row

NAMES = [
    "claude-opus",
    "claude-sonnet",
    "gpt-5",
    "gpt-5-mini",
    "gemini-pro",
    "gemini-flash",
    "deepseek-v3",
    "kimi-k1.5",
    "qwen-local",
]


def test_the_shipped_catalogue_knows_at_least_fourteen_models():
    assert len(shipped().models) >= 14
    assert {row.name for row in shipped().vendors} >= {"openai", "anthropic", "google", "openrouter"}
    assert {row.name for row in shipped().locals} >= {"ollama", "vllm"}


def test_every_name_of_the_catalogue_is_given_once():
    names = Counter(name for row in shipped().models for name in (row.id, *row.aliases))
    assert [name for name, count in names.items() if count > 1] == []
    assert len({row.name for row in shipped().vendors}) == len(shipped().vendors)


@pytest.mark.parametrize("name", NAMES)
def test_the_names_that_policies_use_resolve(name):
    found = Directory(shipped().models, ()).resolve(name)
    assert name in (found.id, *found.aliases)


def test_every_model_of_a_vendor_is_priced():
    vendors = {row.name: row for row in shipped().vendors}
    for row in shipped().models:
        if row.vendor in vendors:
            assert look_up(vendors[row.vendor].price_provider, row.id, input_only=row.embeds), row.id
        else:
            assert row.price is not None, row.id
    for vendor in vendors.values():
        for name in vendor.serves.values():
            assert look_up(vendor.price_provider, name) is not None, name


def test_a_vendor_serves_only_models_of_the_catalogue():
    known = {row.id for row in shipped().models}
    for vendor in shipped().vendors:
        assert set(vendor.serves) <= known
        assert vendor.serves or any(row.vendor == vendor.name for row in shipped().models)


def test_every_figure_of_the_catalogue_makes_sense():
    for row in shipped().models:
        assert row.window_tokens > 0
        assert row.embeds or 0 < row.max_output_tokens <= row.window_tokens
        assert not row.embeds or row.max_output_tokens == 0


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UnknownModel) as refused:
        Directory((model_row("b", aliases=["a"]),), ()).resolve("x" * 200)
    assert refused.value.metadata == {"name": "x" * 128, "known": "a,b"}


def test_a_known_model_that_nobody_serves_says_so():
    with pytest.raises(NoEndpoint) as refused:
        Directory((model_row("m"),), ()).endpoints_for("m")
    assert refused.value.metadata == {"model": "m"}


ENDPOINT = Endpoint(name="one", base_url="http://h/v1", serves={"m": "m"})


def test_all_endpoints_that_serve_a_model_are_known():
    other = replace(ENDPOINT, name="other", serves={"n": "n"})
    second = replace(ENDPOINT, name="second")
    found = Directory((model_row("m"), model_row("n")), (other, ENDPOINT, second))
    assert found.endpoints_for("m") == (ENDPOINT, second)
    assert found.endpoints_for("n") == (other,)
    assert [endpoint.name for endpoint in found.listed[0].endpoints] == ["one", "second"]


def test_a_price_of_the_operator_goes_before_the_endpoints_and_that_before_the_books():
    stated = ListPrice.of("1", "2", source="endpoint")
    rows = {"with": model_row("with", price=PriceRow(input_usd_per_mtok="3", output_usd_per_mtok="4"))}
    rows["without"] = model_row("without")
    endpoint = replace(
        ENDPOINT,
        serves={"with": "gpt-5", "without": "gpt-5"},
        prices={"with": stated, "without": stated},
        price_provider="openai",
    )

    def source(name: str, at: Endpoint) -> str:
        price = Directory(tuple(rows.values()), (at,)).price(name, at)
        return price.listed().source if price else ""

    assert source("with", endpoint) == "configuration"
    assert source("without", endpoint) == "endpoint"
    assert source("without", replace(endpoint, prices={})).startswith("genai-prices")
    assert source("without", replace(endpoint, prices={}, price_provider="")) == ""
    assert source("with", replace(endpoint, simulated=True)) == "endpoint"


def test_a_model_without_a_price_is_listed_without_one():
    listed = Directory((model_row("m"),), (ENDPOINT,)).listed[0]
    assert not listed.HasField("prices")
    assert listed.endpoints[0].state == model_pb2.Endpoint.STATE_READY
    assert Directory((model_row("m"),), ()).listed[0].endpoints == []


def test_the_version_is_the_same_for_the_same_and_changes_with_anything():
    rows = (model_row("m", aliases=["a"]), model_row("n"))
    free = PriceRow(input_usd_per_mtok="0", output_usd_per_mtok="0")
    first = Directory(rows, (ENDPOINT,)).version
    assert Directory(rows, (ENDPOINT,)).version == first
    assert Directory(rows[::-1], (ENDPOINT,)).version == first
    versions = [
        first,
        Directory(rows, ()).version,
        Directory(rows[:1], (ENDPOINT,)).version,
        Directory(rows, (replace(ENDPOINT, name="two"),)).version,
        Directory(rows, (ENDPOINT, replace(ENDPOINT, name="two"))).version,
        Directory(rows, (replace(ENDPOINT, simulated=True),)).version,
        Directory(rows, (replace(ENDPOINT, serves={"n": "n"}),)).version,
        Directory(rows, (replace(ENDPOINT, prices={"m": ListPrice.of("1", "2", source="endpoint")}),)).version,
        Directory(rows, (replace(ENDPOINT, prices={"m": ListPrice.of("1", "2.0", source="endpoint")}),)).version,
        *(
            Directory((replace(rows[0], **change), rows[1]), (ENDPOINT,)).version
            for change in (
                {"aliases": ("b",)},
                {"vendor": "w"},
                {"tier": "large"},
                {"window_tokens": 1},
                {"max_output_tokens": 1},
                {"capabilities": ("tools",)},
                {"price": free},
            )
        ),
    ]
    assert len(set(versions)) == len(versions)


def test_the_catalogue_never_says_an_address_or_a_key():
    hidden = replace(ENDPOINT, base_url="http://secret-host/v1", keys=(Key("V_API_KEY", Secret("sk-canary")),))
    listed = Directory((model_row("m"),), (hidden,)).listed
    assert "secret-host" not in str(listed)
    assert "sk-canary" not in f"{listed} {hidden!r}"


def test_a_row_with_a_known_id_takes_its_place():
    rows = merged((model_row("a"), model_row("b")), (model_row("a", vendor="w"), model_row("c")))
    assert [(row.id, row.vendor) for row in rows] == [("a", "w"), ("b", "v"), ("c", "v")]


def test_an_operators_file_adds_endpoints_and_models(tmp_path: Path):
    path = tmp_path / "providers.toml"
    path.write_text(
        """
        [[endpoint]]
        name = "gpu"
        base_url = "http://10.0.0.7:8000/v1"
        key_variable = "GPU_API_KEY"
        quirks = ["system_role_only"]
        serves = { "my-model" = "org/my-model" }

        [[model]]
        id = "my-model"
        vendor = "us"
        tier = "medium"
        window_tokens = 8192
        max_output_tokens = 2048
        price = { input_usd_per_mtok = "0.1", output_usd_per_mtok = "0.3" }
        """
    )
    found = operator_file.read(path, shipped())
    assert found.endpoint[0].serves == {"my-model": "org/my-model"}
    assert found.model[0].price == PriceRow(input_usd_per_mtok="0.1", output_usd_per_mtok="0.3")


def test_what_is_wrong_in_an_operators_file_is_named_all_at_once(tmp_path: Path):
    path = tmp_path / "providers.toml"
    path.write_text(
        """
        colour = "red"

        [[endpoint]]
        name = "gpu"
        quirks = ["odd"]
        serves = { "gpt-5" = "g" }

        [[endpoint]]
        name = "other"
        base_url = "10.0.0.7:8000"
        serves = { "gpt-5" = "g" }

        [[endpoint]]
        name = "third"
        base_url = "http://10.0.0.7"
        key_variable = "GPU_TOKEN"
        serves = { "gpt-5" = "g" }

        [[model]]
        id = "m"
        vendor = "us"
        tier = "huge"
        window_tokens = "many"
        max_output_tokens = 1.5
        price = { input_usd_per_mtok = "cheap", output_usd_per_mtok = "1" }
        """
    )
    with pytest.raises(StartError) as refused:
        operator_file.read(path, shipped())
    lines = str(refused.value).splitlines()
    for place, problem in (
        (".colour", "is not known; known are endpoint, model"),
        (".endpoint[0].base_url", "is missing"),
        (".endpoint[0].quirks[0]", "must be one of adaptive_thinking"),
        (".endpoint[1]", "base_url must start with http:// or https://"),
        (".endpoint[2]", "key_variable must end with _API_KEY"),
        (".model[0].tier", "must be one of small, medium, large, frontier"),
        (".model[0].window_tokens", "is not a whole number"),
        (".model[0].max_output_tokens", "is not a whole number"),
        (".model[0].price", "'cheap' is not a price"),
    ):
        assert any(line.startswith(f"{path}{place}: {problem}") for line in lines), (place, lines)
    assert len(lines) == 9


def test_an_operators_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(StartError, match=r"missing\.toml: cannot be read"):
        operator_file.read(tmp_path / "missing.toml", shipped())
    broken = tmp_path / "broken.toml"
    broken.write_text("[[endpoint")
    with pytest.raises(StartError, match=r"broken\.toml: "):
        operator_file.read(broken, shipped())


def test_an_endpoint_that_serves_an_unknown_model_is_refused_with_its_place(tmp_path: Path):
    path = tmp_path / "providers.toml"
    path.write_text('[[endpoint]]\nname = "mine"\nbase_url = "https://x"\nserves = { "gpt-99" = "gpt-99" }\n')
    with pytest.raises(StartError, match=r"endpoint\[0\]\.serves\.gpt-99: is no id of the catalogue"):
        operator_file.read(path, shipped())


def test_a_model_that_nobody_serves_is_still_priced_so_that_it_can_be_compared_with():
    known = shipped()
    (opus,) = [m for m in Directory(known.models, (), known.price_providers).listed if m.id == "claude-opus-5-5"]
    assert not opus.endpoints
    assert (opus.prices.input_usd_per_mtok, opus.prices.output_usd_per_mtok) == ("4", "20")
