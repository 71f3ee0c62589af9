"""The weights of a workload apart from any tool: one form for `GPT` and `Llama`, from the tree that trxc keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Layer = Mapping[str, Any]


class UnsupportedError(Exception):
    """The peer cannot do this; the message says why."""


@dataclass(frozen=True)
class Sizes:
    """What the shapes of weights do not tell: heads of queries and of keys, and which kind of block it is."""

    heads: int
    kv_heads: int
    head: int
    layers: int
    rotary: bool
    """Whether positions turn queries and keys, norms have no mean, and feed-forward layers a gate: as in Llama."""

    @property
    def eps(self) -> float:
        return 1e-6 if self.rotary else 1e-5


@dataclass(frozen=True)
class Transformer:
    """`table: f32[vocab, embed]`, which gives the logits, too; `positions: f32[context, embed]` where they are learnt.

    A layer holds `norm` and `norm_2` (`scale`, `shift`), `wq`, `wk`, `wv: f32[embed, heads * head]`,
    `wo: f32[heads * head, embed]`, `up`, `down` and maybe `gate: f32[in, out]`, and biases under `b` and the last
    letters of the name: `bq`, `b_up` and so on.
    """

    sizes: Sizes
    table: Array
    positions: Array | None
    layers: Sequence[Layer]
    norm: Mapping[str, Array]


def transformer(params: Mapping[str, Any]) -> Transformer:
    """From the weights of `w4_gpt` or `w9_llama`, layers stacked."""
    rotary = "llama_blocks" in params
    stack = params["llama_blocks" if rotary else "encoder_blocks"]
    count, _, heads, head = stack["attention"]["wq"].shape
    kv_heads = stack["attention"]["wk"].shape[2]
    return Transformer(
        Sizes(heads, kv_heads, head, count, rotary),
        np.asarray(params["table"]["w"]),
        None if rotary else np.asarray(params["positions"]["w"]),
        [_layer(stack, at, rotary) for at in range(count)],
        _arrays(params["rms_norm" if rotary else "layer_norm"]),
    )


def _layer(stack: Mapping[str, Any], at: int, rotary: bool) -> Layer:
    norm, feed = ("rms_norm", stack["feed"]) if rotary else ("layer_norm", stack)
    attention = {name: np.asarray(value[at]) for name, value in stack["attention"].items()}
    embed = attention["wq"].shape[0]
    layer: dict[str, Any] = {
        "norm": _arrays(stack[norm], at),
        "norm_2": _arrays(stack[f"{norm}_2"], at),
        **{name: attention[name].reshape(embed, -1) for name in ("wq", "wk", "wv")},
        "wo": attention["wo"].reshape(-1, embed),
        **{name: value.reshape(-1) for name, value in attention.items() if name[0] == "b"},
    }
    for name in ("gate", "up", "down"):
        if name in feed:
            dense = _arrays(feed[name], at)
            layer[name] = dense["w"]
            if "b" in dense:
                layer[f"b_{name}"] = dense["b"]
    return layer


def _arrays(tree: Mapping[str, Any], at: int | None = None) -> dict[str, Array]:
    return {name: np.asarray(value if at is None else value[at]) for name, value in tree.items()}


def left_padded(prompts: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """`i32[rows, longest]` with zeros before shorter prompts, and how many, `i32[rows]`."""
    longest = max(map(len, prompts))
    pads = np.array([longest - len(prompt) for prompt in prompts], np.int32)
    tokens = np.zeros((len(prompts), longest), np.int32)
    for row, pad, prompt in zip(tokens, pads, prompts, strict=True):
        row[pad:] = prompt
    return tokens, pads
