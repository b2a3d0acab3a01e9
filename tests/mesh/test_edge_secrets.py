"""Keys and prompts that come over HTTP stay out of log lines, figures and errors, also when everything goes wrong."""

from __future__ import annotations

from pathlib import Path

from tests.mesh.edge import CHAT, MESSAGES, RESPONSES, SIMPLE, chat, http, message, question
from tests.mesh.harness import in_one_process

KEY, PROMPT, NAME = "sk-canary-4711", "canary prompt 0815", "canary_parameter"
HEADERS = {"authorization": f"Bearer {KEY}", "x-api-key": KEY, "anthropic-version": "2023-06-01"}


async def test_keys_and_prompts_are_in_no_log_line_figure_or_error(state: Path) -> None:
    errors = []
    async with in_one_process(state, OMNISPHERE_ROUTER_LOG_LEVEL="debug") as mesh, http(mesh) as client:
        for path, ask in ((CHAT, chat), (MESSAGES, message), (RESPONSES, question)):
            assert (await client.post(path, json=ask(PROMPT), headers=HEADERS)).status_code == 200
            for wrong in ({NAME: PROMPT}, {"temperature": PROMPT}, {"tools": [{"type": PROMPT}]}, {"stop": 1}):
                answer = await client.post(path, json=ask(PROMPT, **wrong), headers=HEADERS)
                errors.append(answer)
            errors.append(await client.post(path, content=f'{{"messages": [{PROMPT}]}}', headers=HEADERS))
            for fault in ({"kind": "status", "status": 500}, {"kind": "cut", "after_chunks": 3}, {"kind": "html"}):
                await mesh.fault(model=SIMPLE, times=9, **fault)
                more = {"model": SIMPLE, "stream": fault["kind"] == "cut"}
                errors.append(await client.post(path, json=ask(f"{PROMPT} {fault}", **more), headers=HEADERS))
                await mesh.no_faults()
        errors.append(await client.post(f"/{PROMPT}", headers=HEADERS))
        figures = await mesh.router_metrics()
    log = (state / "log").read_text()
    assert "req-" in log
    for secret in (KEY, PROMPT, NAME):
        assert secret not in log
        assert secret not in figures
    for error in errors:
        assert KEY not in error.text
        assert error.status_code != 200 or "error" in error.text
        # What the caller wrote is not sent back, but for the name of a parameter that nobody knows.
        assert PROMPT not in error.text
