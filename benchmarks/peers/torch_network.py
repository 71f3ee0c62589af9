"""The workloads' models as PyTorch modules with a preallocated cache of keys and values."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .transformer import Layer, Sizes, Transformer

PLACE = "cuda" if os.environ.get("JAX_PLATFORMS") == "cuda" else "cpu"
"""The device: PyTorch's word for that of jax."""


class Block(nn.Module):
    """One layer; its cache is `[rows, kv_heads, places, head]`."""

    def __init__(self, sizes: Sizes, layer: Layer, rows: int, places: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.norm, self.norm_2 = _norm(sizes, layer["norm"]), _norm(sizes, layer["norm_2"])
        qkv = torch.cat([torch.tensor(layer[name]) for name in ("wq", "wk", "wv")], dim=1)
        bias = torch.cat([torch.tensor(layer[name]) for name in ("bq", "bk", "bv")]) if "bq" in layer else None
        self.qkv, self.out = _linear(qkv, bias), _linear(layer["wo"], layer.get("bo"))
        up = torch.tensor(layer["up"])
        self.up = _linear(torch.cat([torch.tensor(layer["gate"]), up], 1) if sizes.rotary else up, layer.get("b_up"))
        self.down = _linear(layer["down"], layer.get("b_down"))
        for name in ("keys", "values"):
            self.register_buffer(name, torch.zeros(rows, sizes.kv_heads, places, sizes.head), persistent=False)

    def forward(self, x: Tensor, at: Tensor, span: int, mask: Tensor | None, turns: Any) -> Tensor:
        """Places `at: i64[chunk]`; the first `span` places of the cache are looked at, those that `mask` shows."""
        rows, chunk, _ = x.shape
        heads = self.qkv(self.norm(x)).view(rows, chunk, -1, self.sizes.head).transpose(1, 2)
        q, k, v = heads.split([self.sizes.heads, self.sizes.kv_heads, self.sizes.kv_heads], dim=1)
        if turns is not None:
            q, k = _turned(q, turns), _turned(k, turns)
        self.keys.index_copy_(2, at, k)
        self.values.index_copy_(2, at, v)
        grouped = self.sizes.heads != self.sizes.kv_heads
        k, v = self.keys[:, :, :span], self.values[:, :, :span]
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=grouped)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, chunk, -1))
        y = self.up(self.norm_2(x))
        if self.sizes.rotary:
            gate, y = y.chunk(2, dim=-1)
            return x + self.down(functional.silu(gate) * y)
        return x + self.down(functional.gelu(y))


class Network(nn.Module):
    """The model; a call reads a chunk of tokens, and gives the likeliest after the last."""

    def __init__(self, model: Transformer, rows: int, places: int) -> None:
        super().__init__()
        self.sizes = model.sizes
        self.table = nn.Parameter(torch.tensor(model.table))
        self.positions = None if model.positions is None else nn.Parameter(torch.tensor(model.positions))
        self.blocks = nn.ModuleList([Block(model.sizes, layer, rows, places) for layer in model.layers])
        self.norm = _norm(model.sizes, model.norm)
        half = model.sizes.head // 2
        self.register_buffer("rates", 10_000.0 ** (-torch.arange(half) / half), persistent=False)

    def forward(self, tokens: Tensor, at: Tensor, pads: Tensor, span: int, mask: Tensor | None) -> Tensor:
        """`tokens: i64[rows, chunk]` at places `at: i64[chunk]`, of which `pads: i64[rows]` come before the prompt."""
        own = (at - pads[:, None]).clamp(min=0)
        x, turns = functional.embedding(tokens, self.table), None
        if self.positions is not None:
            x = x + self.positions[own]
        else:
            angle = (own[..., None] * self.rates)[:, None]
            turns = (angle.cos(), angle.sin())
        for block in self.blocks:
            x = block(x, at, span, mask, turns)
        return functional.linear(self.norm(x[:, -1]), self.table).argmax(dim=-1)


def mask_of(at: Tensor, pads: Tensor, span: int) -> Tensor:
    """Which of `span` places each of the places `at` sees, `bool[rows, 1, chunk, span]`; itself in any case."""
    keys = torch.arange(span, device=at.device)
    seen = (keys <= at[:, None]) & (keys >= pads[:, None, None])
    return (seen | (keys == at[:, None]))[:, None]


def _turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = turns
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def _norm(sizes: Sizes, weights: Any) -> nn.Module:
    width = weights["scale"].shape[0]
    norm = nn.RMSNorm(width, sizes.eps) if sizes.rotary else nn.LayerNorm(width, sizes.eps)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(weights["scale"]))
        if not sizes.rotary:
            norm.bias.copy_(torch.tensor(weights["shift"]))
    return norm


def _linear(w: Any, b: Any) -> nn.Linear:
    w = w if isinstance(w, Tensor) else torch.tensor(w)
    linear = nn.Linear(*w.shape, bias=b is not None)
    with torch.no_grad():
        linear.weight.copy_(w.T)
        if b is not None:
            linear.bias.copy_(b if isinstance(b, Tensor) else torch.tensor(b))
    return linear
