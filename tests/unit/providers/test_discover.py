"""Which endpoints there are, and who goes before whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from services.chassis.settings import Secret
from services.providers.discover import Sources, discover
from services.providers.endpoints import Directory, shipped
from services.providers.keys import Key
from services.providers.operator_file import EndpointRow, OperatorFile
from services.simulator.fleet import load_fleet
from services.simulator.models_list import models_list
from tests.unit.providers.samples import ScriptedProbe, model_row

OLLAMA = "http://127.0.0.1:11434/v1/models"
VLLM = "http://127.0.0.1:8000/v1/models"
SIMULATOR = "http://127.0.0.1:9180/v1/models"
KEYS = {"OPENAI_API_KEY": Secret("sk-canary"), "DEEPSEEK_API_KEY": Secret("sk-canary-2")}


def listing(*ids: str, **rest: object) -> tuple[int, bytes]:
    return 200, json.dumps({"object": "list", "data": [{"id": name, **rest} for name in ids]}).encode()


# One for each wire format that simulated models speak.
SIMULATORS = ["simulator", "simulator-responses", "simulator-messages", "simulator-gemini"]
SIMULATED = (200, json.dumps(models_list(load_fleet().values())).encode())


def sources(
    simulator: str = "auto",
    *,
    keys: Mapping[str, Secret] | None = None,
    look_locally: bool = True,
    operator: OperatorFile | None = None,
) -> Sources:
    return Sources(
        shipped=shipped(),
        operator=operator or OperatorFile(),
        keys=keys or {},
        simulator=simulator,
        simulator_url="http://127.0.0.1:9180/",
        look_locally=look_locally,
    )


def names(found: Directory) -> list[str]:
    return [endpoint.name for endpoint in found.endpoints]


async def test_with_the_simulator_on_there_is_nothing_else():
    probe = ScriptedProbe({SIMULATOR: SIMULATED, OLLAMA: listing("qwen3:4b")})
    operator = OperatorFile(endpoint=(EndpointRow(name="gpu", base_url="http://gpu/v1", serves={"gpt-5": "g"}),))
    found = await discover(sources("on", keys=KEYS, operator=operator), probe)
    assert names(found) == SIMULATORS
    assert probe.asked == [SIMULATOR]
    assert found.endpoints[0].keys == ()
    assert found.endpoints[0].simulated


async def test_auto_takes_the_operators_endpoints_then_keys_then_local_servers():
    operator = OperatorFile(
        endpoint=(
            EndpointRow(name="gpu", base_url="http://gpu/v1/", key_variable="GPU_API_KEY", serves={"mine": "x"}),
        ),
        model=(model_row("mine"),),
    )
    keys = {**KEYS, "GPU_API_KEY": Secret("sk-gpu")}
    probe = ScriptedProbe({SIMULATOR: SIMULATED, OLLAMA: listing("qwen3:4b")})
    found = await discover(sources(keys=keys, operator=operator), probe)
    assert names(found) == ["gpu", "openai", "deepseek", "ollama"]
    assert SIMULATOR not in probe.asked
    gpu, openai, deepseek, ollama = found.endpoints
    assert (gpu.base_url, gpu.keys) == ("http://gpu/v1", (Key("GPU_API_KEY", keys["GPU_API_KEY"]),))
    assert openai.keys[0].secret is keys["OPENAI_API_KEY"]
    assert "max_completion_tokens" in openai.quirks
    assert set(deepseek.serves) == {"deepseek-v3.2", "deepseek-v4-pro"}
    assert (ollama.keys, ollama.serves) == ((), {"qwen3:4b": "qwen3:4b"})
    assert found.endpoints_for("mine") == (gpu,)


async def test_a_vendor_of_other_vendors_models_serves_them_under_its_own_names():
    found = await discover(sources(keys={"OPENROUTER_API_KEY": Secret("k")}), ScriptedProbe({}))
    (endpoint,) = found.endpoints_for(found.resolve("claude-opus").id)
    assert (endpoint.name, endpoint.serves["claude-opus-5-5"]) == ("openrouter", "anthropic/claude-opus-5.5")
    assert found.price("claude-opus-5-5", endpoint) is not None


async def test_auto_takes_the_simulator_only_where_there_is_nothing_else():
    found = await discover(sources(), ScriptedProbe({SIMULATOR: SIMULATED}))
    assert names(found) == SIMULATORS
    assert [endpoint.format for endpoint in found.endpoints_for("claude-sonnet-5-5")] == ["anthropic_messages"]
    assert names(await discover(sources(), ScriptedProbe({}))) == []


async def test_an_empty_key_is_no_key():
    found = await discover(sources("off", keys={"OPENAI_API_KEY": Secret("")}), ScriptedProbe({}))
    assert names(found) == []


async def test_off_never_asks_the_simulator():
    probe = ScriptedProbe({SIMULATOR: SIMULATED})
    found = await discover(sources("off"), probe)
    assert names(found) == []
    assert SIMULATOR not in probe.asked
    assert len(found.models) == len(shipped().models)


async def test_nobody_is_asked_where_looking_is_off():
    probe = ScriptedProbe({OLLAMA: listing("qwen3:4b")})
    assert names(await discover(sources("off", look_locally=False), probe)) == []
    assert probe.asked == []


async def test_a_simulator_on_a_local_servers_port_is_not_taken_for_one():
    found = await discover(sources(), ScriptedProbe({VLLM: SIMULATED}))
    assert names(found) == []
    mixed = 200, json.dumps({"data": [{"id": "a"}, {"id": "b", "simulated": True}]}).encode()
    assert names(await discover(sources("off"), ScriptedProbe({VLLM: mixed}))) == []


async def test_a_server_that_is_no_simulator_is_not_taken_for_one():
    for body in (listing("gpt-5"), listing("gpt-5", simulated=False)):
        assert names(await discover(sources("on"), ScriptedProbe({SIMULATOR: body}))) == []


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"{}"),
        (500, listing("a")[1]),
        (200, b""),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (200, b"[]"),
        (200, b"null"),
        (200, b'{"data": null}'),
        (200, b'{"data": []}'),
        (200, b'{"data": {"id": "a"}}'),
        (200, b'{"data": ["a"]}'),
        (200, b'{"data": [{"name": "a"}]}'),
        (200, b'{"data": [{"id": ""}]}'),
        (200, b'{"data": [{"id": "a"}, {"id": 7}]}'),
    ],
)
async def test_a_list_of_models_that_is_none_is_no_endpoint(answer):
    for url, simulator in ((OLLAMA, "off"), (SIMULATOR, "on")):
        assert names(await discover(sources(simulator), ScriptedProbe({url: answer}))) == []


async def test_the_local_alias_moves_to_a_qwen_that_was_found():
    found = await discover(sources("off"), ScriptedProbe({OLLAMA: listing("llama3", "Qwen3:4b")}))
    assert found.resolve("qwen-local").id == "Qwen3:4b"
    assert found.endpoints_for("Qwen3:4b")[0].name == "ollama"
    assert found.resolve("qwen3-8b").aliases == ()
    price = found.price("Qwen3:4b", found.endpoints[0])
    assert price is not None
    assert price.listed().output_usd_per_mtok == "0"


async def test_the_local_alias_moves_to_another_model_where_no_qwen_was_found():
    found = await discover(sources("off"), ScriptedProbe({OLLAMA: listing("llama3", "phi4")}))
    assert found.resolve("qwen-local").id == "llama3"


@pytest.mark.parametrize(
    "name",
    [
        "nomic-embed-text:latest",
        "text-embedding-nomic-embed-text-v1.5",
        "qwen3-embedding:0.6b",
        "BAAI/bge-m3",
        "e5-large",
    ],
)
async def test_a_local_model_that_is_named_like_one_makes_vectors_and_answers_nothing(name):
    found = await discover(sources("off"), ScriptedProbe({OLLAMA: listing(name, "llama3")}))
    assert found.resolve(name).embeds
    assert not found.resolve("llama3").embeds
    assert found.resolve("qwen-local").id == "llama3"
    alone = await discover(sources("off"), ScriptedProbe({OLLAMA: listing(name)}))
    assert alone.resolve("qwen-local").id == "qwen3-8b"


async def test_a_simulated_model_with_dimensions_makes_vectors():
    listed = listing("own", simulated=True, dimensions=8)
    assert (await discover(sources("on"), ScriptedProbe({SIMULATOR: listed}))).resolve("own").embeds


async def test_the_local_alias_stays_where_its_model_is_served():
    found = await discover(sources("off"), ScriptedProbe({OLLAMA: listing("llama3", "qwen3-8b")}))
    assert found.resolve("qwen-local").id == "qwen3-8b"
    gpu = EndpointRow(name="gpu", base_url="http://gpu/v1", serves={"qwen3-8b": "qwen"})
    probe = ScriptedProbe({OLLAMA: listing("llama3")})
    found = await discover(sources("off", operator=OperatorFile(endpoint=(gpu,))), probe)
    assert found.resolve("qwen-local").id == "qwen3-8b"


@pytest.mark.parametrize(
    ("ollama", "vllm", "holder"),
    [
        (["qwen3:4b"], ["qwen3:4b"], "qwen3:4b"),
        (["qwen3:4b"], ["llama3"], "qwen3:4b"),
        (["llama3"], ["qwen3:4b"], "qwen3:4b"),
        (["llama3"], ["qwen3-8b"], "qwen3-8b"),
    ],
)
async def test_the_local_alias_belongs_to_one_model_of_all_local_servers(ollama, vllm, holder):
    found = await discover(sources("off"), ScriptedProbe({OLLAMA: listing(*ollama), VLLM: listing(*vllm)}))
    assert found.resolve("qwen-local").id == holder
    assert [row.id for row in found.models.values() if "qwen-local" in row.aliases] == [holder]
    assert set(ollama + vllm) <= set(found.models)


async def test_prices_that_the_endpoint_states_are_exact():
    found = await discover(sources("on"), ScriptedProbe({SIMULATOR: SIMULATED}))
    for model in load_fleet().values():
        (endpoint,) = found.endpoints_for(model.id)
        price = found.price(model.id, endpoint)
        assert price is not None
        listed = price.listed()
        assert Decimal(listed.input_usd_per_mtok) == model.price.input
        assert Decimal(listed.output_usd_per_mtok) == model.price.output
        cached = model.price.input if model.price.cache_read is None else model.price.cache_read
        assert Decimal(listed.cache_read_usd_per_mtok) == cached
        assert listed.source == "endpoint"
    assert all(model.simulated for model in found.listed if model.endpoints)


@pytest.mark.parametrize(
    ("pricing", "figures"),
    [
        ({"prompt": "0.0000001", "completion": "0.000002"}, ("0.1", "2", "0.1")),
        ({"prompt": "0.000003", "completion": "1e-5", "input_cache_read": "0.0000003"}, ("3", "10", "0.3")),
        ({"prompt": "0", "completion": "0"}, ("0", "0", "0")),
        ({"prompt": "0.1"}, None),
        ({"prompt": "a", "completion": "b"}, None),
        ({"prompt": "-1", "completion": "-1"}, None),
        ({"prompt": None, "completion": []}, None),
        ({"prompt": "nan", "completion": "1"}, None),
        ("free", None),
        (None, None),
    ],
)
async def test_a_stated_price_is_read_or_not_known(pricing, figures):
    probe = ScriptedProbe({SIMULATOR: listing("fresh", simulated=True, pricing=pricing, context_length=4096)})
    found = await discover(sources("on"), probe)
    price = found.price("fresh", found.endpoints[0])
    if figures is None:
        assert price is None
        return
    assert price is not None
    listed = price.listed()
    assert (listed.input_usd_per_mtok, listed.output_usd_per_mtok, listed.cache_read_usd_per_mtok) == figures


@pytest.mark.parametrize(("stated", "window"), [(4096, 4096), (None, 32_768), ("8k", 32_768), (-1, 32_768)])
async def test_a_simulated_model_that_is_not_in_the_catalogue_joins_it(stated, window):
    probe = ScriptedProbe({SIMULATOR: listing("fresh", simulated=True, context_length=stated)})
    row = (await discover(sources("on"), probe)).resolve("fresh")
    assert (row.vendor, row.window_tokens) == ("simulator", window)
    assert row.max_output_tokens <= row.window_tokens // 4
