"""The rank files are tiktoken's own, and are read without a network."""

from __future__ import annotations

import lzma
import socket
from importlib import import_module, resources
from typing import Any

import pytest

from services.context import ranks
from services.context.ranks import CL100K, O200K, Encodings, RanksDamaged
from tests.unit.context.conversations import conversation, user


@pytest.mark.parametrize(
    ("name", "size", "sha256"),
    [
        (CL100K, 100_256, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
        (O200K, 199_998, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    ],
)
def test_rebuilt_ranks_have_tiktokens_own_hash(name, size, sha256):
    tokens = ranks.unpacked(name)
    assert len(tokens) == size
    assert ranks.sha256_of(tokens) == sha256


@pytest.mark.parametrize("name", [CL100K, O200K])
def test_patterns_are_those_of_tiktoken(name, monkeypatch):
    openai_public: Any = import_module("tiktoken_ext.openai_public")
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    assert ranks._SOURCES[name].pattern == openai_public.ENCODING_CONSTRUCTORS[name]()["pat_str"]


def test_notice_stands_beside_the_files():
    notice = resources.files("services.context").joinpath("ranks", "NOTICE").read_text(encoding="utf-8")
    assert "Copyright (c) 2022 OpenAI, Shantanu Jain" in notice
    assert all(source.sha256 in notice for source in ranks._SOURCES.values())


def test_counting_works_with_sockets_blocked(monkeypatch, counter):
    def refused(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    fresh = Encodings()
    assert fresh.get(O200K).encode_ordinary("hello world") == [24912, 2375]
    assert fresh.get(CL100K).encode_ordinary("hello world") == [15339, 1917]
    assert counter.count(conversation(user("hello")), "gpt-5").total().estimate == 8


def test_an_encoding_is_loaded_once(encodings):
    first = encodings.get(O200K)
    assert encodings.is_loaded(O200K)
    assert encodings.get(O200K) is first


def test_special_tokens_in_text_are_plain_text(encodings):
    assert len(encodings.get(O200K).encode_ordinary("<|endoftext|>")) > 1


def test_a_damaged_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "ranks").mkdir()
    packed = (2).to_bytes(4, "big") + lzma.compress(b"\x01\x01ab")
    (tmp_path / "ranks" / f"{O200K}.ranks.xz").write_bytes(packed)
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    with pytest.raises(RanksDamaged):
        ranks.unpacked(O200K)
    with pytest.raises(RanksDamaged):
        ranks.unpacked(CL100K)
