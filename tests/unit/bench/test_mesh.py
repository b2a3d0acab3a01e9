"""What h2load says is read as it was meant, and rows become figures; nothing is loaded here."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bench import score_mesh
from bench.mesh import load, ours
from bench.mesh.processes import BenchError

COUNTED = """\
starting benchmark...
spawning thread #0: 4 total client(s). 100 total requests
Application protocol: http/1.1
progress: 100% done

finished in 1.82ms, 54975.26 req/s, 33.13MB/s
requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 61.72KB (63200) total, 6.35KB (6500) headers (space savings 0.00%), 52.34KB (53600) data
                     min         max         mean         sd        +/- sd
time for request:       22us       147us        55us        20us    80.00%
time for connect:       49us       210us       113us        68us    75.00%
"""
# With a time, not a number, some requests are under way when it is up: one more head than answers.
TIMED = COUNTED.replace("4 total, 4 started", "4 total, 20 started").replace("codes: 4 2xx", "codes: 5 2xx")
REFUSED = """\
finished in 184us, 0.00 req/s, 0B/s
requests: 100 total, 0 started, 0 done, 0 succeeded, 100 failed, 100 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 0B (0) total, 0B (0) headers (space savings 0.00%), 0B (0) data
"""
LOG = "1795507764261105\t200\t105\n1795507764261116\t200\t99\n1795507764261120\t200\t107\n1795507764261120\t200\t98\n"


def window(target: str, path: str, number: int, **figures: float) -> dict[str, Any]:
    usual = {"at_once": 16, "requests": 100, "seconds": 1.0, "rps": 100.0, "p50": 10.0, "p99": 20.0, "cpu_us": 50.0}
    return {"target": target, "path": path, "round": number, **usual, **figures}


class TestReading:
    @pytest.mark.parametrize("said", [COUNTED, TIMED])
    def test_a_window_is_read(self, said: str) -> None:
        told = load.read(said, LOG)
        assert (told.requests, told.rps, told.data_bytes) == (4, 54975.26, 53600)
        assert told.took_us == [98, 99, 105, 107]

    @pytest.mark.parametrize(
        "said",
        [
            REFUSED,
            "",
            COUNTED.replace("4 2xx, 0 3xx, 0 4xx", "3 2xx, 0 3xx, 1 4xx"),
            COUNTED.replace("4 succeeded, 0 failed", "3 succeeded, 1 failed"),
            COUNTED.replace("0 errored", "1 errored"),
            COUNTED.replace("0 timeout", "1 timeout"),
            COUNTED.replace("4 2xx", "3 2xx"),
            COUNTED.replace("4 done, 4 succeeded", "5 done, 5 succeeded"),  # one is missing in the log
        ],
    )
    def test_a_window_with_one_failure_is_an_error_and_no_figure(self, said: str) -> None:
        with pytest.raises(BenchError):
            load.read(said, LOG)

    def test_a_message_is_framed_as_grpc_sends_it(self) -> None:
        request = ours.question()
        data = request.SerializeToString()
        assert load.framed(request) == b"\0" + len(data).to_bytes(4, "big") + data

    def test_the_same_conversation_is_asked_over_http(self) -> None:
        body = json.loads(ours.chat_body("some-model"))
        parts = [message.parts[0].text for message in ours.question().conversation.messages]
        assert [message["content"] for message in body["messages"]] == parts
        assert body["model"] == "some-model"
        assert "stream" not in body
        assert json.loads(ours.chat_body("some-model", stream=True))["stream"] is True


class TestScoring:
    def test_a_ratio_is_the_median_of_the_rounds_own_ratios(self) -> None:
        # The machine was half as fast in the second round, for both.
        rows = [
            *(window("one_process", "hit", number, rps=rps) for number, rps in enumerate((900, 450, 800))),
            *(window("echo", "hit", number, rps=rps) for number, rps in enumerate((1000, 500, 1000))),
        ]
        assert score_mesh.figures(rows)["one_process"]["hit_rps_vs_echo"] == 0.9

    def test_only_windows_of_the_same_load_are_compared(self) -> None:
        rows = [window("mesh", "miss", 0, at_once=1, p50=300), window("echo", "miss", 0, at_once=1, p50=100)]
        rows += [window("mesh", "miss", 0, p50=9000), window("echo", "miss", 0, p50=1000)]
        assert score_mesh.figures(rows)["mesh"]["miss_p50_vs_echo"] == 3.0

    def test_a_round_that_one_of_them_lacks_does_not_count(self) -> None:
        rows = [window("one_process", "hit", number, cpu_us=100) for number in range(3)]
        rows += [window("echo", "hit", 2, cpu_us=50)]
        assert score_mesh.figures(rows)["one_process"]["hit_cpu_vs_echo"] == 2.0

    def test_streams_are_told_in_tokens(self) -> None:
        rows = [
            window("mesh", "stream", number, at_once=100, rps=rps, tokens=100) for number, rps in enumerate((7, 9, 8))
        ]
        assert score_mesh.figures(rows)["mesh"]["stream_tokens_s"] == 800

    def test_a_gateway_is_compared_at_16_connections_and_its_median_at_one(self) -> None:
        rows = [
            window("omnisphere", "peer:other", 0, rps=300, cpu_us=10),
            window("other", "peer:other", 0, rps=100, cpu_us=40),
            window("omnisphere", "peer:other", 0, at_once=1, p50=50),
            window("other", "peer:other", 0, at_once=1, p50=100),
            {"target": "other", "path": "peer_start", "start_s": 7.5, "rss_loaded_mb": 300.0},
        ]
        told = {"rps_ratio": 3.0, "p50_ratio": 0.5, "cpu_ratio": 0.25, "rss_mb": 300.0, "start_s": 7.5}
        assert score_mesh.figures(rows)["peers"] == {"other": told}

    def test_the_edge_is_told_beside_its_upstream(self) -> None:
        rows = [window(target, "http", 0, rps=rps) for target, rps in (("edge_miss", 100), ("upstream", 400))]
        rows += [window(target, "http", 0, at_once=1, p50=p50) for target, p50 in (("edge_miss", 90), ("upstream", 20))]
        told = score_mesh.figures(rows)["http"]
        assert (told["miss_rps"], told["miss_rps_vs_direct"], told["miss_p50_added_us"]) == (100, 0.25, 70)
        assert told["hit_rps"] is None

    def test_starts_are_told_by_service(self) -> None:
        start = {"path": "start", "start_s": 0.25, "rss_mb": 50.0, "rss_loaded_mb": 55.0}
        told = score_mesh.figures([{"target": "router", **start}])
        assert (told["start_s"], told["rss_mb"]) == ({"router": 0.25}, {"router": 55.0})

    def test_what_was_not_measured_is_null(self) -> None:
        told = score_mesh.figures([])
        assert {
            "hit_cpu_vs_echo",
            "hit_rps_vs_echo",
            "hit_rps_vs_echo_bare",
            "miss_cpu_vs_echo",
            "stream_tokens_s",
        } <= {name for name, value in told["one_process"].items() if value is None}
        assert {"hit_cpu_vs_echo2", "hit_rps_vs_echo2", "miss_p50_vs_echo", "stream_tokens_s"} <= {
            name for name, value in told["mesh"].items() if value is None
        }
        assert (told["peers"], told["rss_mb"], told["start_s"]) == ({}, {}, {})

    def test_the_scorer_needs_nothing_of_ours(self) -> None:
        code = (
            "import sys, bench.score_mesh; print([m for m in sys.modules if m.startswith(('services', 'omnisphere'))])"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "[]"


def test_without_an_upstream_the_bench_says_so_and_ends_with_2() -> None:
    command = [sys.executable, "-m", "bench.mesh", "--mock", "/nowhere/upstream.c"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert len(ran.stdout.splitlines()) == 1
