"""python -m bench.score_context FILE --data DIR: the figures of a run of bench.context, from its rows and the labels.

Rows without `policy` are questions: `{"question", "budget", "artefact", "messages": [{"role", "text", "source_ids"}],
"tokens"}`. A turn is kept when its text stands verbatim in the messages; tokens are counted anew with o200k_base over
the texts, 4 more per message. A missing row counts as nothing kept.

Rows with `policy` are a replay: `{"policy", "conversation", "request", "question", "messages": [{"sha", "tokens"}],
"kept": [turn ids]}`. Cached are the tokens of the longest start that a request shares with any of the ten before it in
its conversation.
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tiktoken

Row = Mapping[str, Any]
BUDGETS = (1000, 2000, 4000, 8000)
_ANSWERABLE = ("single_hop", "multi_hop", "temporal", "open_domain")
_BEFORE = 10
# As in tiktoken_ext/openai_public.py.
_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def read(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


class Labels:
    """Which turns answer each question, and their texts."""

    def __init__(self, data: Path) -> None:
        self.questions = {row["id"]: row for row in read(data / "questions.jsonl")}
        self.texts: dict[str, dict[str, str]] = {}
        for conversation in read(data / "conversations.jsonl"):
            turns = conversation["turns"]
            self.texts[conversation["conversation"]] = {turn["id"]: _text(turn) for turn in turns}

    def evidence(self, question: str) -> list[tuple[str, str]]:
        """(turn id, text) of all that answers a question."""
        row = self.questions[question]
        texts = self.texts[row["conversation"]]
        return [(turn, texts[turn]) for turn in row["evidence"] if turn in texts]


def counter(ranks: Path) -> tiktoken.Encoding:
    """o200k_base, from the packed ranks beside the data."""
    packed = (ranks / "o200k_base.ranks.xz").read_bytes()
    content = lzma.decompress(packed[4:])
    at = count = int.from_bytes(packed[:4], "big")
    tokens: dict[bytes, int] = {}
    for rank, length in enumerate(content[:count]):
        tokens[content[at : at + length]] = rank
        at += length
    return tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=tokens, special_tokens={})


def recall(rows: Sequence[Row], labels: Labels, encoding: tiktoken.Encoding) -> dict[str, Any]:
    """Per artefact and budget: recall over the answerable questions and by kind, and how many outputs are too long."""
    found: dict[tuple[str, int], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        found[row["artefact"], row["budget"]][row["question"]] = row
    figures: dict[str, Any] = {}
    for (artefact, budget), answered in sorted(found.items()):
        asked = answered.keys() if artefact == "shipped_cold" else labels.questions.keys()
        kept = {question: _kept(answered.get(question), labels.evidence(question)) for question in asked}
        over = sum(1 for row in answered.values() if tokens(row, encoding) > budget)
        figures.setdefault(artefact, {})[str(budget)] = {"over_budget": over, **_by_kind(kept, labels)}
    for artefact in [name for name in figures if name != "baseline"]:
        if "baseline" not in figures:
            break
        for budget, values in figures[artefact].items():
            if artefact == "shipped_cold":
                same = {row["question"] for row in rows if row["artefact"] == artefact}
                rest = {q: _kept(found["baseline", int(budget)].get(q), labels.evidence(q)) for q in same}
                theirs = _by_kind(rest, labels)["recall"]
            else:
                theirs = figures["baseline"][budget]["recall"]
            values["gain"] = round(values["recall"] - theirs, 2)
    return figures


def tokens(row: Row, encoding: tiktoken.Encoding) -> int:
    """The tokens of a row's messages, counted anew."""
    return sum(len(encoding.encode_ordinary(message["text"])) + 4 for message in row["messages"])


def replay(rows: Sequence[Row], labels: Labels) -> dict[str, Any]:
    """Per policy: the share of input tokens that were cached, and recall on the questions."""
    figures: dict[str, Any] = {}
    for policy in dict.fromkeys(row["policy"] for row in rows):
        mine = [row for row in rows if row["policy"] == policy]
        cached, total = _cached(mine)
        asked = [row for row in mine if row["question"] and labels.evidence(row["question"])]
        answerable = [row for row in asked if labels.questions[row["question"]]["category"] in _ANSWERABLE]
        shares = [_share(labels.evidence(row["question"]), set(row["kept"])) for row in answerable]
        figures[policy] = {
            "cached_share": round(100 * cached / total, 2),
            "recall": round(100 * sum(shares) / max(len(shares), 1), 2),
            "requests": len(mine),
            "questions": len(shares),
            "tokens": total,
        }
    return figures


def _cached(rows: Iterable[Row]) -> tuple[int, int]:
    before: dict[str, list[list[str]]] = defaultdict(list)
    cached = total = 0
    for row in rows:
        names = [message["sha"] for message in row["messages"]]
        sizes = [message["tokens"] for message in row["messages"]]
        past = before[row["conversation"]]
        longest = max((_same(names, other) for other in past[-_BEFORE:]), default=0)
        cached += sum(sizes[:longest])
        total += sum(sizes)
        past.append(names)
    return cached, total


def _same(names: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for mine, theirs in zip(names, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return length


def _share(evidence: Sequence[tuple[str, str]], kept: set[str]) -> float:
    return sum(1 for turn, _ in evidence if turn in kept) / len(evidence)


def _kept(row: Row | None, evidence: Sequence[tuple[str, str]]) -> float | None:
    """The share of the evidence that stands in a row; None: the question has none."""
    if not evidence:
        return None
    if row is None:
        return 0.0
    texts = [message["text"] for message in row["messages"]]
    return sum(1 for _, said in evidence if any(said in text for text in texts)) / len(evidence)


def _by_kind(kept: Mapping[str, float | None], labels: Labels) -> dict[str, Any]:
    kinds: dict[str, list[float]] = defaultdict(list)
    for question, share in kept.items():
        if share is not None:
            kinds[labels.questions[question]["category"]].append(share)
    answerable = [share for kind in _ANSWERABLE for share in kinds[kind]]
    return {
        "recall": _percent(answerable),
        "questions": len(answerable),
        "by_kind": {kind: _percent(shares) for kind, shares in sorted(kinds.items()) if shares},
    }


def _percent(shares: Sequence[float]) -> float:
    return round(100 * sum(shares) / len(shares), 2) if shares else 0.0


def _text(turn: Mapping[str, Any]) -> str:
    caption = f" [image: {turn['image_caption']}]" if turn.get("image_caption") else ""
    return str(turn["text"]) + caption


def figures(rows: Sequence[Row], data: Path, ranks: Path) -> dict[str, Any]:
    """Everything that the rows tell."""
    labels = Labels(data)
    questions = [row for row in rows if "policy" not in row]
    replayed = [row for row in rows if "policy" in row]
    found: dict[str, Any] = {}
    if questions:
        found |= recall(questions, labels, counter(ranks))
    if replayed:
        found["replay"] = replay(replayed, labels)
    return found


def main() -> None:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.score_context", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ranks", type=Path, help="the directory of o200k_base.ranks.xz; beside the data by default")
    given = parser.parse_args()
    ranks = given.ranks or given.data.parent / "tiktoken"
    print(json.dumps(figures(read(given.file), given.data, ranks)))


if __name__ == "__main__":
    main()
