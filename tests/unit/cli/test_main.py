"""The command as a person calls it: exit codes and single lines."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.mesh.harness import environment

pytestmark = pytest.mark.slow


async def _omnisphere(state: Path, *arguments: str, **more: str) -> tuple[int | None, str, str]:
    environ = environment(state, **more)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli.main", *arguments, env=environ, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_chat_without_a_router_starts_one_for_the_call(tmp_path: Path):
    code, out, err = await _omnisphere(tmp_path, "chat", "--router", "127.0.0.1:1", "Summarise the news")
    assert code == 0
    assert "simulated answer" in out
    assert "gemini-3.8-flash (simulated) · summarization by rule" in out
    assert "no router is running" in err


async def test_explain_lists_the_plan_without_asking_a_model(tmp_path: Path):
    code, out, _ = await _omnisphere(tmp_path, "explain", "--router", "127.0.0.1:1", "Translate this into German")
    assert code == 0
    assert "translation (by rule)" in out
    assert "primary for translation" in out


async def test_a_refused_request_is_one_line_and_exit_code_1(tmp_path: Path):
    code, out, err = await _omnisphere(tmp_path, "chat", "--router", "127.0.0.1:1", "--policy", "cheapest", "x")
    assert (code, out) == (1, "")
    known = "auto,cascade,cost_aware,local_first,rule,semantic,threshold"
    assert err.splitlines()[-1] == f"UNKNOWN_POLICY no policy has this name (known: {known}, name: cheapest)"


async def test_check_names_every_wrong_variable_and_shows_no_key(tmp_path: Path):
    wrong = {"OMNISPHERE_CACHE_PORT": "many", "OMNISPHERE_ROUTER_DRAIN": "3", "OPENAI_API_KEY": "sk-secret"}
    code, out, err = await _omnisphere(tmp_path, "check", **wrong)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        'OMNISPHERE_ROUTER_DRAIN: is not a duration such as "500ms", "2s" or "10m"',
        "OMNISPHERE_CACHE_PORT: is not a whole number",
    ]
    gone = {"OMNISPHERE_ROUTER_ARTEFACT": "/gone.npz", "OMNISPHERE_CACHE_VERIFIER": "/gone.npz"}
    code, out, err = await _omnisphere(
        tmp_path, "check", OMNISPHERE_STATES="/s", OMNISPHERE_CASHE_PORT="1", OMNISPHERE_ROUTER="x:1", **gone
    )
    assert code == 2
    assert err.splitlines() == [
        "OMNISPHERE_CASHE_PORT: is not known; did you mean OMNISPHERE_CACHE_PORT?",
        "OMNISPHERE_STATES: is not known; did you mean OMNISPHERE_STATE?",
        "gone.npz: cannot be read",
        "/gone.npz: cannot be read: No such file or directory",
    ]
    code, out, err = await _omnisphere(tmp_path, "check", OPENAI_API_KEY="sk-secret")
    assert (code, out) == (0, "all settings are valid; keys found: OPENAI_API_KEY\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chat", "--router", "router.invalid:50051", "x"), "--router: nobody answers at router.invalid:50051"),
        (("usage", "--router", "router.invalid:50051"), "--router: nobody answers at router.invalid:50051"),
        (("models", "--router", "http://127.0.0.1:1"), "--router: 'http://127.0.0.1:1' is not host:port"),
        (("models", "--router", "127.0.0.1:99999"), "--router: '127.0.0.1:99999' is not host:port"),
        (("chat", "  "), "the question is empty"),
        (("chat", "\udcff"), "the question is not UTF-8"),
        (("up", "--mesh", "--remote", "cache"), "--remote: not together with --mesh"),
    ],
)
async def test_what_cannot_be_meant_is_one_line_and_nothing_is_asked(
    tmp_path: Path, arguments: tuple[str, ...], said: str
):
    code, out, err = await _omnisphere(tmp_path, *arguments)
    assert (code, out, err) == (2, "", f"{said}\n")
    assert not (tmp_path / "ledger").exists()


@pytest.mark.parametrize("arguments", [("up",), ("up", "--mesh"), ("chat", "--router", "127.0.0.1:1", "x")])
async def test_a_state_that_cannot_be_written_is_one_line(tmp_path: Path, arguments: tuple[str, ...]):
    (tmp_path / "taken").write_text("")
    code, _, err = await _omnisphere(tmp_path / "taken", *arguments)
    assert code == 2
    assert err == f"{tmp_path}/taken/logs/omnisphere.log: cannot be written: Not a directory (OMNISPHERE_STATE)\n"


async def test_the_version_is_said(tmp_path: Path):
    assert await _omnisphere(tmp_path, "--version") == (0, f"omnisphere {version('omnisphere')}\n", "")


async def test_the_simulator_takes_ports_that_there_are(tmp_path: Path):
    code, _, err = await _omnisphere(tmp_path, "simulate", "--port", "99999")
    assert code == 2
    assert "less than or equal to 65535" in err


async def test_usage_without_a_router_shows_what_an_earlier_one_recorded(tmp_path: Path):
    code, _, err = await _omnisphere(tmp_path, "chat", "--router", "127.0.0.1:1", "Translate 'cheese' into French")
    assert (code, len(err.splitlines())) == (0, 1)
    code, out, err = await _omnisphere(tmp_path, "usage", "--router", "127.0.0.1:1", "--by", "task,tenant", "--json")
    assert code == 0
    assert "no router at 127.0.0.1:1; this is what is recorded in " in err
    (row,) = (json.loads(line) for line in out.splitlines())
    assert (row["task"], row["tenant"], row["requests"], row["priced"]) == ("translation", "default", 1, True)
    assert row["cost_nanousd"] > 0
    code, out, _ = await _omnisphere(tmp_path, "usage", "--router", "127.0.0.1:1", "--by", "model", "--since", "1d")
    assert code == 0
    assert "say nothing about quality" in out
    _, out, _ = await _omnisphere(tmp_path, "usage", "--router", "127.0.0.1:1", "--until", "1d", "--csv")
    assert len(out.splitlines()) == 1


async def test_usage_starts_nothing_where_nothing_was_recorded(tmp_path: Path):
    code, out, err = await _omnisphere(tmp_path, "usage", "--router", "127.0.0.1:1", "--json")
    assert (code, out) == (0, "")
    assert f"nothing is recorded in {tmp_path}" in err
    assert not (tmp_path / "logs").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("arguments", [("--by", "hour"), ("--since", "soon"), ("--json", "--csv")])
async def test_usage_refuses_what_makes_no_sense_in_one_line(tmp_path: Path, arguments: tuple[str, ...]):
    code, out, err = await _omnisphere(tmp_path, "usage", "--router", "127.0.0.1:1", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert arguments[0] in err


async def test_context_fit_shows_what_is_kept_and_why(tmp_path: Path):
    talk = [{"role": "system", "content": "Be kind."}]
    for turn in range(120):
        said = "My boat is called Albatros." if turn == 2 else f"Day {turn}: the wind turned, we read below deck."
        talk += [{"role": "user", "content": said}, {"role": "assistant", "content": "I see."}]
    talk.append({"role": "user", "content": "What is the name of my boat?"})
    file = tmp_path / "talk.json"
    file.write_text(json.dumps({"messages": talk}))
    code, out, err = await _omnisphere(
        tmp_path, "context", "fit", str(file), "--model", "gpt-5", "--window", "1000", "--router", "127.0.0.1:1"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 1 + len(talk) + 1
    assert lines[1].split() == ["0", "system", "7", "yes", "system", "Be", "kind."]
    assert "retrieved" in lines[1 + 5]
    assert lines[-2].split()[4:6] == ["last", "user"]
    assert "policy retrieve; counted with o200k_base, uncalibrated" in lines[-1]


async def test_context_fit_names_what_is_wrong_with_a_file(tmp_path: Path):
    file = tmp_path / "talk.json"
    for content, problem in (("{", "is no JSON"), ("3", "is neither"), ('{"messages": 3}', "messages")):
        file.write_text(content)
        code, out, err = await _omnisphere(tmp_path, "context", "fit", str(file), "--model", "gpt-5", "--window", "9")
        assert (code, out) == (2, "")
        assert str(file) in err
        assert problem in err


async def test_simulate_says_in_one_line_why_recordings_cannot_be_replayed(tmp_path: Path):
    code, out, err = await _omnisphere(tmp_path, "simulate", "--replay-outcomes", str(tmp_path), "--port", "0")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    both = ("--fleet", str(tmp_path / "fleet.toml"), "--replay-outcomes", str(tmp_path))
    code, _, err = await _omnisphere(tmp_path, "simulate", *both)
    assert (code, err) == (2, "--replay-outcomes: not together with --fleet\n")
