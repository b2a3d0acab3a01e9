"""The row of a request says what was decided and what it took, and nothing that was said."""

from __future__ import annotations

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from services.router.ledger import REQUESTS, Ended, request_row
from services.router.record import Record
from tests.fakes.clock import FakeClock
from tests.fakes.peers import attempt
from tests.unit.router.samples import admitted, talk

ENDED = Ended(1_760_000_000.5, 0.25, chat_pb2.FINISH_REASON_STOP, first_token=0.125)


def row(record: Record, *, key: bytes = b"key", said: str = "my password is swordfish") -> dict[str, object]:
    values = request_row(record.decision, ENDED, admitted(talk(said)), "0" * 32, key)
    return dict(zip(REQUESTS.names, values, strict=True))


def test_a_row_says_what_was_decided_and_nothing_that_was_said():
    made = Record(admitted(talk("my password is swordfish")), FakeClock())
    made.looked_up(cache_pb.LookUpResponse(outcome=cache_pb.CACHE_OUTCOME_MISS))
    made.attempted([attempt("m", cost=700)])
    made.answered_by("m")
    kept = row(made)
    assert "swordfish" not in str(kept)
    assert (kept["at"], kept["milliseconds"], kept["first_token_milliseconds"]) == (1_760_000_000_500, 250.0, 125.0)
    assert (kept["model"], kept["cost_nanousd"], kept["priced"], kept["cache"]) == ("m", 700, 1, "miss")
    assert (kept["input_uncached"], kept["output"], kept["attempts"], kept["finish"]) == (10, 5, 1, "stop")


def test_a_prompt_is_told_apart_by_a_keyed_hash_alone():
    made = Record(admitted(talk("x")), FakeClock())
    hashes = [row(made), row(made), row(made, key=b"other key"), row(made, said="another")]
    first, again, other_key, other_prompt = (str(one["prompt_hash"]) for one in hashes)
    assert first == again
    assert len({first, other_key, other_prompt}) == 3
    assert len(first) == 16


def test_who_shares_an_answer_took_nothing():
    for field, value in (("shared_with_request_id", "r-1"), ("replayed", True)):
        made = Record(admitted(talk("x")), FakeClock())
        made.attempted([attempt("m", cost=700, priced=False)])
        setattr(made.decision, field, value)
        kept = row(made)
        assert (kept["cost_nanousd"], kept["output"], kept["priced"]) == (0, 0, 1)
