"""all-MiniLM-L6-v2 as int8 ONNX, from files of this package: no network, no torch. See model/NOTICE.

One text per run: int8 takes its scales from all that is in a run, so that a text's vector in a batch of 64 differs from
the one alone (cosine 0.98 at worst), and the batch is no faster.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from services.embedding.embedder import EmbedderDamaged, Vector
from services.embedding.files import FILES, MODEL, TOKENIZER, read

# What the model was tuned for; its positions would reach to 512.
MOST_TOKENS = 256
# Beyond it a text is too long without counting: reading a megabyte only to refuse it takes a second.
_MOST_CHARACTERS = 8_192
_DIMENSION = 384
# The model card's texts, and their cosines as this file computes them. Processors without 8-bit dot products may
# saturate; what is then computed is noise.
_CHECK_TEXTS = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
_CHECK_COSINES = (0.6595, 0.1200, 0.1512)
_TOLERANCE = 0.02


class OnnxMiniLM:
    """Loads in about 0.3 s, then takes 3 ms of one core for 20 tokens."""

    def __init__(self, files: Path = FILES) -> None:
        """Raises EmbedderDamaged."""
        model = read(files, MODEL)
        self._hash = hashlib.sha256(model).hexdigest()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Give memory back after a long text instead of keeping room for the longest one there was.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_str(read(files, TOKENIZER).decode())
        self._check()

    @property
    def dimension(self) -> int:
        return _DIMENSION

    @property
    def model_hash(self) -> str:
        return self._hash

    def embed(self, text: str) -> Vector | None:
        if len(text) > _MOST_CHARACTERS:
            return None
        ids = self._tokenizer.encode(text).ids
        if len(ids) > MOST_TOKENS:
            return None
        tokens = np.array([ids], np.int64)
        (vectors,) = self._session.run(["embedding"], {"input_ids": tokens, "attention_mask": np.ones_like(tokens)})
        vector: Vector = vectors[0]
        return vector

    def _check(self) -> None:
        first, second, third = (self.embed(text) for text in _CHECK_TEXTS)
        if first is None or second is None or third is None:
            raise EmbedderDamaged(f"{TOKENIZER} finds a short text long")
        cosines = (float(first @ second), float(first @ third), float(second @ third))
        if any(abs(found - right) > _TOLERANCE for found, right in zip(cosines, _CHECK_COSINES, strict=True)):
            raise EmbedderDamaged(f"{MODEL} is computed wrongly on this processor: {cosines}")
