"""python tiny_model.py FILE: a GGUF model of random weights, a few hundred kB: it answers anything with nonsense.

Runs where `gguf` and `numpy` are installed, which is not here.
"""

from __future__ import annotations

import sys

import gguf
import numpy as np

_WIDTH, _HEADS, _INNER, _BLOCKS, _CONTEXT = 32, 2, 64, 1, 2_048
_SPECIAL = (b"<unk>", b"<s>", b"</s>")
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def main(path: str) -> None:
    """Write the file."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    words = [*_SPECIAL, *(f"<0x{byte:02X}>".encode() for byte in range(256)), *(bytes([c]) for c in range(97, 123))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * 26
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)
    random = np.random.default_rng(1)

    def weights(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * 0.02).astype(np.float32))

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(_WIDTH, np.float32))

    weights("token_embd.weight", len(words), _WIDTH)
    for block in range(_BLOCKS):
        ones(f"blk.{block}.attn_norm.weight")
        ones(f"blk.{block}.ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights(f"blk.{block}.{part}.weight", _WIDTH, _WIDTH)
        weights(f"blk.{block}.ffn_gate.weight", _INNER, _WIDTH)
        weights(f"blk.{block}.ffn_up.weight", _INNER, _WIDTH)
        weights(f"blk.{block}.ffn_down.weight", _WIDTH, _INNER)
    ones("output_norm.weight")
    weights("output.weight", len(words), _WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
