"""Generation with Flax NNX: its layers, and the cache that its own `MultiHeadAttention` keeps, in one jitted loop.

That cache takes one token at a time, so prompts are read token by token, too. The attention has no place where
queries and keys could be turned by their position before they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .transformer import Layer, Transformer, UnsupportedError, left_padded

LABEL = "Flax NNX"
NEEDS = ("jax", "flax")


def build(model: Transformer, rows: int, prompt: int, limit: int) -> Callable[..., Any]:
    """See :mod:`peers`."""
    if model.sizes.rotary:
        raise UnsupportedError("the decode cache of `nnx.MultiHeadAttention` knows no rotary positions")
    from flax import nnx

    network = _network(nnx, model, rows, prompt + limit)
    form, weights, cache = nnx.split(network, nnx.Param, nnx.Cache)

    def read(token: Any, place: Any, pads: Any, cache: Any, weights: Any) -> tuple[Any, Any]:
        own = nnx.merge(form, weights, cache)
        logits = own(token, place, pads)
        return jnp.argmax(logits, axis=-1).astype(jnp.int32), nnx.state(own, nnx.Cache)

    @jax.jit
    def loop(weights: Any, cache: Any, tokens: Any, pads: Any, count: Any) -> Any:
        """`i32[prompt + limit, rows]`: the prompts, then what is drawn."""

        def step(state: Any) -> Any:
            place, text, cache = state
            token, cache = read(text[place], place, pads, cache, weights)
            given = jax.lax.dynamic_index_in_dim(text, place + 1, keepdims=False)
            return place + 1, text.at[place + 1].set(jnp.where(place + 1 < prompt, given, token)), cache

        text = jnp.zeros((prompt + limit, rows), jnp.int32).at[:prompt].set(tokens.T)
        return jax.lax.while_loop(lambda state: state[0] < prompt + count - 1, step, (0, text, cache))[1]

    def generate(prompts: Sequence[Sequence[int]], count: int) -> Any:
        return np.asarray(loop(weights, cache, *left_padded(prompts), count))[prompt : prompt + count]

    return generate


def _network(nnx: Any, model: Transformer, rows: int, places: int) -> Any:
    sizes, (vocab, embed), rngs = model.sizes, model.table.shape, nnx.Rngs(0)
    ragged = jnp.arange(places)

    class Block(nnx.Module):
        def __init__(self, layer: Layer) -> None:
            self.norm = _norm(nnx, layer["norm"], sizes.eps)
            self.attention = nnx.MultiHeadAttention(
                sizes.heads, embed, num_kv_heads=sizes.kv_heads, decode=True, deterministic=True, rngs=rngs
            )
            _set_attention(self.attention, layer, sizes.head)
            self.attention.init_cache((rows, places, embed))
            self.norm_2 = _norm(nnx, layer["norm_2"], sizes.eps)
            self.up = _linear(nnx, layer["up"], layer["b_up"])
            self.down = _linear(nnx, layer["down"], layer["b_down"])

        def __call__(self, x: Any, mask: Any) -> Any:
            x = x + self.attention(self.norm(x), mask=mask)
            return x + self.down(nnx.gelu(self.up(self.norm_2(x)), approximate=False))

    class Network(nnx.Module):
        def __init__(self) -> None:
            assert model.positions is not None
            self.table = nnx.Embed(vocab, embed, rngs=rngs)
            self.table.embedding[...] = jnp.asarray(model.table)
            self.positions = nnx.Param(jnp.asarray(model.positions))
            self.blocks = nnx.List([Block(layer) for layer in model.layers])
            self.norm = _norm(nnx, model.norm, sizes.eps)

        def __call__(self, tokens: Any, place: Any, pads: Any) -> Any:
            """Logits, `f32[rows, vocab]`, after one token a row, `i32[rows]`."""
            x = self.table(tokens[:, None]) + self.positions[...][jnp.maximum(place - pads, 0)][:, None]
            # A row sees its own place even before its prompt begins: a softmax of nothing is no number.
            mask = ((ragged >= pads[:, None]) | (ragged == place))[:, None, None]
            for block in self.blocks:
                x = block(x, mask)
            return self.table.attend(self.norm(x))[:, 0]

    return Network()


def _norm(nnx: Any, weights: Any, eps: float) -> Any:
    norm = nnx.LayerNorm(weights["scale"].shape[0], epsilon=eps, rngs=nnx.Rngs(0))
    norm.scale[...], norm.bias[...] = jnp.asarray(weights["scale"]), jnp.asarray(weights["shift"])
    return norm


def _linear(nnx: Any, w: Any, b: Any) -> Any:
    linear = nnx.Linear(*w.shape, rngs=nnx.Rngs(0))
    linear.kernel[...], linear.bias[...] = jnp.asarray(w), jnp.asarray(b)
    return linear


def _set_attention(attention: Any, layer: Layer, head: int) -> None:
    for name, letter in (("query", "q"), ("key", "k"), ("value", "v")):
        part, w = getattr(attention, name), layer[f"w{letter}"]
        part.kernel[...] = jnp.asarray(w.reshape(w.shape[0], -1, head))
        part.bias[...] = jnp.asarray(layer[f"b{letter}"].reshape(-1, head))
    attention.out.kernel[...] = jnp.asarray(layer["wo"].reshape(-1, head, layer["wo"].shape[1]))
    attention.out.bias[...] = jnp.asarray(layer["bo"])
