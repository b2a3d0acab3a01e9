"""The model of the package: whole, licensed, near the published one, and refused where it is not what it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.embedding import onnx_minilm
from services.embedding.embedder import EmbedderDamaged
from services.embedding.files import FILES
from services.embedding.onnx_minilm import OnnxMiniLM


@pytest.fixture(scope="module")
def minilm() -> OnnxMiniLM:
    return OnnxMiniLM()


def test_the_meaning_of_a_text_is_what_counts(minilm: OnnxMiniLM):
    def cosine(a: str, b: str) -> float:
        first, second = minilm.embed(a), minilm.embed(b)
        assert first is not None
        assert second is not None
        return float(first @ second)

    assert cosine("How do I reset my password?", "I forgot my password, how can I get a new one?") > 0.7
    assert cosine("How do I reset my password?", "What is the boiling point of water?") < 0.2


def test_a_text_of_255_letters_words_and_spaces_is_not_long_because_it_has_many_characters(minilm: OnnxMiniLM):
    assert minilm.embed("incomprehensibility " * 40) is not None


def test_the_hash_is_that_of_the_committed_file(minilm: OnnxMiniLM):
    assert f"{minilm.model_hash}  minilm-int8.onnx" in (FILES / "SHA256SUMS").read_text()


def test_the_notice_names_the_origin_and_the_licence():
    notice = (FILES / "NOTICE").read_text()
    assert "Apache License, Version 2.0" in notice
    assert "all-MiniLM-L6-v2" in notice


@pytest.mark.parametrize("name", ["minilm-int8.onnx", "tokenizer.json"])
def test_a_file_that_is_cut_or_absent_is_refused_by_its_name(tmp_path: Path, name: str):
    files = shutil.copytree(FILES, tmp_path / "model")
    content = (files / name).read_bytes()
    (files / name).write_bytes(content[:-1])
    with pytest.raises(EmbedderDamaged, match=name):
        OnnxMiniLM(files)
    (files / name).unlink()
    with pytest.raises(EmbedderDamaged, match=name):
        OnnxMiniLM(files)


def test_a_processor_that_computes_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_minilm, "_CHECK_COSINES", (0.5, 0.12, 0.15))
    with pytest.raises(EmbedderDamaged, match="computed wrongly"):
        OnnxMiniLM()
