"""What real clients once sent in the Responses format, sent to the HTTP edge: it goes to the model as it was meant.

The recordings lie beside a checkout and not in it; without them these tests are skipped.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.router.edge.errors import Refused
from services.router.edge.openai_responses import OpenAIResponses
from tests.contract.recordings import RECORDINGS
from tests.contract.test_recorded_requests import encoded, said

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside this checkout")
IT = OpenAIResponses()
# What the edge refuses of them: a parameter of a gateway, three of OpenAI's own; and bytes that the recorder cut.
REFUSED = ("provider: ", "moderation: ", "reasoning.mode: ", "include[0]: ")
CUT = "is not base64"


def without_what_the_contract_cannot_say(body: Any) -> Any:
    """The contract has no field for a summary, which the edge hands on beside it; and the recorder cut bytes."""
    body.get("reasoning", {}).pop("summary", None)
    for item in body["input"]:
        pieces = item.get("content") or item.get("output")
        for piece in pieces if isinstance(pieces, list) else ():
            for name in ("image_url", "file_data"):
                if str(piece.get(name)).startswith("data:"):
                    piece[name] = "data:"
    return {name: value for name, value in body.items() if value != {}}


def test_what_clients_sent_goes_to_the_model_as_it_was_meant() -> None:
    read, refused = 0, []
    for record, conversation in said("openai.responses"):
        try:
            ours = IT.read({**(record.body or {}), "model": record.id}).request.conversation
        except Refused as wrong:
            refused.append(wrong.message)
            continue
        read += 1
        mine, theirs = (json.loads(encoded(record, one).body) for one in (ours, conversation))
        assert without_what_the_contract_cannot_say(mine) == without_what_the_contract_cannot_say(theirs), record.id
    assert read > 200
    assert [one for one in refused if not one.startswith(REFUSED) and not one.endswith(CUT)] == []
