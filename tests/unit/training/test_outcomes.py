"""Reading recorded outcomes: what is missing stays unknown, what is wrong is told with its row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.training.outcomes import OutcomesUnusable, assembled, read

ROW = {"id": "1", "prompt": "Why?", "task": "t", "models": {"a": {"quality": 1.0, "cost_usd": 0.1, "answer": 4}}}


def written(tmp_path, *rows):
    path = tmp_path / "outcomes.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_rows_come_back_with_what_they_do_not_say_unknown(tmp_path):
    found = read(written(tmp_path, ROW, "", {"prompt": "And?", "models": {"b": {"quality": 0.5}}}))
    assert found.models == ("a", "b")
    assert found.ids == ("1", "1")
    assert found.tasks == ("t", "")
    assert found.in_tokens.tolist() == [1, 1]
    np.testing.assert_equal(found.quality, [[1.0, np.nan], [np.nan, 0.5]])
    np.testing.assert_equal(found.usd, [[0.1, np.nan], [np.nan, np.nan]])
    assert found.answers == (("4", None), (None, None))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "outcomes.jsonl:2: no JSON"),
        ("[]", "outcomes.jsonl:2: no prompt, or no models"),
        ('{"prompt": "x"}', "outcomes.jsonl:2: no prompt, or no models"),
        ('{"prompt": "x", "models": {"a": {"quality": NaN}}}', "row 2: quality is no number"),
        ('{"prompt": "x", "models": {"a": {"quality": true}}}', "row 2: quality is no number"),
        ('{"prompt": "x", "models": {"a": {"quality": 1.1}}}', "row 2: quality is above 1"),
        ('{"prompt": "x", "models": {"a": {"quality": -0.1}}}', "row 2: quality is below 0"),
        ('{"prompt": "x", "models": {"a": {"quality": 1, "cost_usd": -1}}}', "row 2: cost_usd is below 0"),
        ('{"prompt": "x", "models": {"a": 0.5}}', "row 2: what a did is no object"),
        ('{"prompt": "x", "in_tokens": "x", "models": {"a": {"quality": 1}}}', "row 2: in_tokens is no number"),
        ("[" * 100_000, "outcomes.jsonl:2: no JSON"),
        ('{"prompt": 5, "models": {"a": {"quality": 1}}}', "row 2: prompt is no text"),
        ('{"prompt": "\\ud800", "models": {"a": {"quality": 1}}}', "row 2: prompt is no text"),
        ('{"prompt": "x", "task": ["t"], "models": {"a": {"quality": 1}}}', "row 2: task is no text"),
        ('{"prompt": "x", "models": {"a": {"quality": 1, "answer": "\\ud800"}}}', "row 2: answer is no text"),
        ('{"prompt": "x", "models": {"": {"quality": 1}}}', "a model has no name"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(tmp_path, row, told):
    with pytest.raises(OutcomesUnusable, match=told):
        read(written(tmp_path, ROW, row))


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path):
    path = written(tmp_path, ROW)
    path.write_bytes(path.read_bytes() + b"\n\xff\xfe\n")
    with pytest.raises(OutcomesUnusable, match="no JSON"):
        read(path)


def test_what_is_no_parquet_is_said(tmp_path):
    path = tmp_path / "outcomes.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(OutcomesUnusable, match="no parquet"):
        read(path)


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(OutcomesUnusable, match="no rows"):
        read(written(tmp_path))
    with pytest.raises(OutcomesUnusable, match="no such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(OutcomesUnusable, match="no quality is known"):
        assembled([{"prompt": "x", "models": {"a": {}}}])


def test_parquet_says_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import Table, parquet

    rows = [{"id": "1", "prompt": "Why?", "task": "t", "in_tok": 3, "q__a": 1.0, "c__a": 0.1, "a__a": "4", "o__a": 2}]
    dropped = {**rows[0], "id": "2", "contaminated": True}
    parquet.write_table(Table.from_pylist([{**rows[0], "contaminated": False}, dropped]), tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet")
    assert (found.ids, found.models, found.in_tokens.tolist()) == (("1",), ("a",), [3])
    assert found.out_tokens is not None
    parquet.write_table(Table.from_pylist([{"id": 1}]), tmp_path / "y.parquet")
    with pytest.raises(OutcomesUnusable, match="no column prompt"):
        read(tmp_path / "y.parquet")
