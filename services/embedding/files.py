"""The files of the model: read only if they are what they were when they were made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from services.embedding.embedder import EmbedderDamaged

FILES = Path(__file__).parent / "model"
MODEL, TOKENIZER, WORDS = "minilm-int8.onnx", "tokenizer.json", "words-int8.bin"
_SUMS = "SHA256SUMS"


def read(files: Path, name: str) -> bytes:
    """The file, if it has the hash that stands beside it. Raises EmbedderDamaged."""
    try:
        right = (files / _SUMS).read_text(encoding="ascii").split()
        content = (files / name).read_bytes()
    except (OSError, ValueError) as failure:
        raise EmbedderDamaged(f"{name} or {_SUMS} cannot be read") from failure
    if (hashlib.sha256(content).hexdigest(), name) not in zip(right[::2], right[1::2], strict=False):
        raise EmbedderDamaged(f"{name} does not have the hash of {_SUMS}")
    return content
