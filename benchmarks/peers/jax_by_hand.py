"""Generation as one would write it in plain JAX for speed: one jitted call reads the prompts and draws every token.

Caches are `[rows * heads, places, head]`, one pair a layer. XLA for CPUs writes in place to an array of just the three
dims that its product of matrices takes, and copies one of more dims, were they of size 1, several times a token.
Weights are arrays of their own; those of queries, keys and values are in one product, and so are gate and up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .transformer import Layer, Sizes, Transformer, left_padded

LABEL = "JAX by hand"
NEEDS = ("jax",)
HIDDEN = -1e30


def build(model: Transformer, rows: int, prompt: int, limit: int) -> Callable[..., Any]:
    """See :mod:`peers`."""
    del rows
    weights = jax.tree.map(jnp.asarray, _merged(model))

    def generate(prompts: Sequence[Sequence[int]], count: int) -> Any:
        tokens, pads = left_padded(prompts)
        drawn = _generate(weights, tokens, pads, count, sizes=model.sizes, limit=limit, ragged=bool(pads.any()))
        return np.asarray(drawn)[:count]

    return generate


def _merged(model: Transformer) -> dict[str, Any]:
    return {
        "table": model.table,
        "unembed": np.ascontiguousarray(model.table.T),
        "positions": model.positions,
        "norm": model.norm,
        "layers": [_merged_layer(layer) for layer in model.layers],
    }


def _merged_layer(layer: Layer) -> dict[str, Any]:
    found = {name: layer[name] for name in ("norm", "norm_2", "wo", "down", "bo", "b_up", "b_down") if name in layer}
    found["qkv"] = np.concatenate([layer["wq"], layer["wk"], layer["wv"]], axis=1)
    found["up"] = np.concatenate([layer["gate"], layer["up"]], axis=1) if "gate" in layer else layer["up"]
    if "bq" in layer:
        found["b_qkv"] = np.concatenate([layer["bq"], layer["bk"], layer["bv"]])
    return found


@partial(jax.jit, static_argnames=("sizes", "limit", "ragged"))
def _generate(weights: Any, tokens: Any, pads: Any, count: Any, *, sizes: Sizes, limit: int, ragged: bool) -> Any:
    """`i32[limit, rows]`, of which `count` are drawn."""
    rows, prompt = tokens.shape
    pads = pads if ragged else None
    shape = (rows * sizes.kv_heads, prompt + limit, sizes.head)
    cache = [(jnp.zeros(shape), jnp.zeros(shape)) for _ in range(sizes.layers)]
    logits, cache = _read(sizes, weights, cache, tokens, 0, pads)
    first = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    drawn = jnp.zeros((limit, rows), jnp.int32).at[0].set(first)

    def step(state: Any) -> Any:
        number, drawn, token, cache = state
        logits, cache = _read(sizes, weights, cache, token[:, None], prompt + number - 1, pads)
        token = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        return number + 1, drawn.at[number].set(token), token, cache

    return jax.lax.while_loop(lambda state: state[0] < count, step, (1, drawn, first, cache))[1]


def _read(sizes: Sizes, weights: Any, cache: Any, tokens: Any, start: Any, pads: Any) -> tuple[Any, Any]:
    """The logits after the last of `tokens: i32[rows, chunk]`, which stand from place `start` on, and the caches."""
    chunk = tokens.shape[1]
    places = start + jnp.arange(chunk)
    own = places[None] if pads is None else jnp.maximum(places - pads[:, None], 0)
    keys = jnp.arange(chunk if chunk > 1 else cache[0][0].shape[1])
    seen = (keys <= places[:, None])[None]
    if pads is not None:
        seen = seen & (keys >= pads[:, None, None])
    x = weights["table"][tokens]
    if not sizes.rotary:
        x = x + weights["positions"][own]
    turns = _turns(sizes, own) if sizes.rotary else None
    kept = []
    for layer, kv in zip(weights["layers"], cache, strict=True):
        x, kv = _block(sizes, layer, kv, x, start, seen, turns)
        kept.append(kv)
    return _norm(sizes, weights["norm"], x[:, -1]) @ weights["unembed"], kept


def _block(sizes: Sizes, layer: Any, kv: Any, x: Any, start: Any, seen: Any, turns: Any) -> tuple[Any, Any]:
    mixed, kv = _attention(sizes, layer, kv, _norm(sizes, layer["norm"], x), start, seen, turns)
    x = x + _dense(mixed, layer["wo"], layer.get("bo"))
    y = _dense(_norm(sizes, layer["norm_2"], x), layer["up"], layer.get("b_up"))
    if sizes.rotary:
        gate, up = jnp.split(y, 2, axis=-1)
        y = jax.nn.silu(gate) * up
    else:
        y = jax.nn.gelu(y, approximate=False)
    return x + _dense(y, layer["down"], layer.get("b_down")), kv


def _attention(sizes: Sizes, layer: Any, kv: Any, x: Any, start: Any, seen: Any, turns: Any) -> tuple[Any, Any]:
    rows, chunk, _ = x.shape
    heads = _dense(x, layer["qkv"], layer.get("b_qkv")).reshape(rows, chunk, -1, sizes.head)
    q, k, v = jnp.split(heads, [sizes.heads, sizes.heads + sizes.kv_heads], axis=2)
    if turns is not None:
        q, k = _turned(q, turns), _turned(k, turns)
    q, k, v = (x.swapaxes(1, 2).reshape(rows * sizes.kv_heads, -1, sizes.head) for x in (q, k, v))
    kv = tuple(jax.lax.dynamic_update_slice_in_dim(old, new, start, 1) for old, new in zip(kv, (k, v), strict=True))
    k, v = (k, v) if chunk > 1 else kv
    scores = jnp.einsum("gqd,gkd->gqk", q, k) * sizes.head**-0.5
    scores = scores.reshape(rows, sizes.heads, chunk, -1)
    scores = jnp.where(seen[:, None], scores, HIDDEN)
    weights = jax.nn.softmax(scores, axis=-1).reshape(*q.shape[:2], -1)
    mixed = jnp.einsum("gqk,gkd->gqd", weights, v).reshape(rows, sizes.heads, chunk, sizes.head)
    return mixed.swapaxes(1, 2).reshape(rows, chunk, -1), kv


def _dense(x: Any, w: Any, b: Any) -> Any:
    y = (x.reshape(-1, x.shape[-1]) @ w).reshape(*x.shape[:-1], w.shape[1])
    return y if b is None else y + b


def _norm(sizes: Sizes, norm: Any, x: Any) -> Any:
    if sizes.rotary:
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + sizes.eps) * norm["scale"]
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    x = x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + sizes.eps)
    return x * norm["scale"] + norm["shift"]


def _turns(sizes: Sizes, places: Any) -> tuple[Any, Any]:
    half = sizes.head // 2
    angle = places[..., None] * 10_000.0 ** (-jnp.arange(half) / half)
    return jnp.cos(angle)[:, :, None], jnp.sin(angle)[:, :, None]


def _turned(x: Any, turns: tuple[Any, Any]) -> Any:
    cos, sin = turns
    left, right = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
