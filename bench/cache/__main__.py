"""python -m bench.cache --train FILE --test FILE: true and false hits of the semantic cache on a stream.

A real cache service, over gRPC, at two false-hit budgets; once with a verifier fitted on the training file, and once
with the one that ships; beside it, what a cosine calibrated on natural paraphrases would have served. With one file for
both it splits it. `--predictions FILE` keeps the rows, which `python -m bench.score_cache` turns into figures;
`--large N` measures CPU and memory at N entries instead.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.cache import cosine
from bench.cache.judge import embedded, judge, texts_of
from bench.cache.pairs import Pair, Stream, inner_split, read
from bench.score_cache import figures, read_rows, table


def main() -> int:
    """Run, score, print; 2 where the data or what fits a verifier is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--large", type=int, nargs="+", metavar="N")
    arguments = parser.parse_args()
    if arguments.large:
        from bench.cache.large import measure

        return measure(arguments.large)
    missing = [str(path) for path in (arguments.train, arguments.test) if path is None or not path.is_file()]
    if missing:
        print(f"--train and --test name files of labelled pairs; not there: {', '.join(missing)}", file=sys.stderr)
        return 2
    train, test = read(arguments.train), read(arguments.test)
    if arguments.train.resolve() == arguments.test.resolve():
        train, test = inner_split(test)
        print(f"one file for both: fitted on {len(train):,} pairs of it, judged by {len(test):,} others;")
        print("the verifier that ships may have seen the MIT-licensed ones among those")
    return _run(train, test, arguments.predictions)


def _run(train: list[Pair], test: list[Pair], predictions: Path | None) -> int:
    try:
        from tools.verifier.measure import fit_for
    except ModuleNotFoundError as failure:
        print(f"fitting a verifier needs {failure.name}: pip install -e '.[training]'", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="omnisphere-bench-") as folder:
        fitted, rows = Path(folder, "fitted.npz"), predictions or Path(folder, "rows.jsonl")
        fit_for(train, fitted)
        stream, natural = Stream(test), cosine.natural(train)
        vectors = uvloop.run(embedded([*texts_of(stream), *texts_of(natural)]))
        with rows.open("w", encoding="utf-8") as into:
            for artefact, verifier in (("fitted", fitted), ("shipped", None)):
                uvloop.run(judge(artefact, verifier, stream, vectors, into))
            cosine.judge(natural, stream, vectors, into)
        found = figures(read_rows(rows), train, test)
    print(table(found))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
