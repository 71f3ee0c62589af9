"""The models for GPUs in plain JAX, as its users write them: weights are kept in 32 bits, layers computed in 16.

Each gives the loss for :class:`.jax_plain.PlainTrainer`. Attention is `jax.nn.dot_product_attention`, by cuDNN where it
can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .base import DEVICE, HALF

Params = Any
Batch = Mapping[str, jax.Array]

KERNEL = "cudnn" if DEVICE == "gpu" and HALF else "xla"
"""What computes attention; cuDNN's takes 16 bits alone."""
DTYPE = jnp.bfloat16 if HALF else jnp.float32


def cast(params: Params) -> Params:
    """The weights as layers take them."""
    return jax.tree.map(lambda w: w.astype(DTYPE), params)


def dense(params: Params, x: jax.Array) -> jax.Array:
    """`x @ w + b`, or without a bias."""
    y = x @ params["w"]
    return y + params["b"] if "b" in params else y


def layer_norm(params: Params, x: jax.Array) -> jax.Array:
    """Over the last dim, in 32 bits."""
    y = jax.nn.standardize(x.astype(jnp.float32), axis=-1, epsilon=1e-5).astype(x.dtype)
    return y * params["scale"] + params["shift"]


def rms_norm(params: Params, x: jax.Array) -> jax.Array:
    """Over the last dim, in 32 bits."""
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt((wide * wide).mean(axis=-1, keepdims=True) + 1e-6)).astype(x.dtype) * params["scale"]


def rotated(x: jax.Array) -> jax.Array:
    """`[batch, seq, heads, head]`: the halves of each head turned by the angles of its place."""
    half = x.shape[-1] // 2
    angle = jnp.arange(x.shape[1])[:, None, None] * 10_000.0 ** (-jnp.arange(half) / half)
    cos, sin = jnp.cos(angle).astype(x.dtype), jnp.sin(angle).astype(x.dtype)
    left, right = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


def attention(params: Params, x: jax.Array, *, rotary: bool = False) -> jax.Array:
    """Causal self-attention of `x: [batch, seq, embed]`."""
    q, k, v = (jnp.einsum("bsd,dhe->bshe", x, params[name]) for name in ("wq", "wk", "wv"))
    if "bq" in params:
        q, k, v = q + params["bq"], k + params["bk"], v + params["bv"]
    if rotary:
        q, k = rotated(q), rotated(k)
    mixed = jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation=KERNEL)
    y = jnp.einsum("bshe,hed->bsd", mixed, params["wo"])
    return y + params["bo"] if "bo" in params else y


def token_loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The mean over tokens, in 32 bits."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), targets).mean()


def gpt(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """G1."""
    params, tokens = cast(params), batch["tokens"]
    x = params["table"]["w"][tokens] + params["positions"]["w"][: tokens.shape[1]]
    for layer in params["encoder_blocks"]:
        x = x + attention(layer["attention"], layer_norm(layer["layer_norm"], x))
        y = jax.nn.gelu(dense(layer["up"], layer_norm(layer["layer_norm_2"], x)), approximate=False)
        x = x + dense(layer["down"], y)
    return token_loss(layer_norm(params["layer_norm"], x) @ params["table"]["w"].T, batch["targets"]), state


def llama(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """G2."""
    params = cast(params)
    x = params["table"]["w"][batch["tokens"]]
    for layer in params["llama_blocks"]:
        x = x + attention(layer["attention"], rms_norm(layer["rms_norm"], x), rotary=True)
        y, feed = rms_norm(layer["rms_norm_2"], x), layer["feed"]
        x = x + dense(feed["down"], jax.nn.silu(dense(feed["gate"], y)) * dense(feed["up"], y))
    return token_loss(rms_norm(params["rms_norm"], x) @ params["table"]["w"].T, batch["targets"]), state


def conv(params: Params, x: jax.Array, stride: int = 1) -> jax.Array:
    """`[batch, height, width, channels]`."""
    w, numbers = params["w"].astype(DTYPE), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, w, (stride, stride), "SAME", dimension_numbers=numbers)


def batch_norm(params: Params, state: Any, x: jax.Array) -> tuple[jax.Array, Any]:
    """In training: with the batch's own statistics, in 32 bits, which the running ones follow."""
    wide = x.astype(jnp.float32)
    mean, var = wide.mean(axis=(0, 1, 2)), wide.var(axis=(0, 1, 2))
    new_state = {"mean": 0.9 * state["mean"] + 0.1 * mean, "var": 0.9 * state["var"] + 0.1 * var}
    y = (wide - mean) * jax.lax.rsqrt(var + 1e-5) * params["scale"] + params["shift"]
    return y.astype(x.dtype), new_state


def bottleneck(params: Params, state: Any, x: jax.Array, stride: int = 1) -> tuple[jax.Array, Any]:
    """Three convolutions beside a shortcut; the one in the middle takes the steps."""
    new_state, y = dict[str, Any](), x
    for number, step in (("", 1), ("_2", stride), ("_3", 1)):
        name = f"batch_norm{number}"
        y, new_state[name] = batch_norm(params[name], state[name], conv(params[f"conv{number}"], y, step))
        y = y if number == "_3" else jax.nn.relu(y)
    if "conv_4" in params:
        x = conv(params["conv_4"], x, stride)
        x, new_state["batch_norm_4"] = batch_norm(params["batch_norm_4"], state["batch_norm_4"], x)
    return jax.nn.relu(x + y), new_state


def stage(params: Params, state: Any, x: jax.Array, stride: int) -> tuple[jax.Array, Any]:
    """A block that changes the width, and more that keep it."""
    x, first = bottleneck(params["bottleneck"], state["bottleneck"], x, stride)
    rest = list[Any]()
    for layer, layer_state in zip(params["bottlenecks"], state["bottlenecks"], strict=True):
        x, new_state = bottleneck(layer, layer_state, x)
        rest.append(new_state)
    return x, {"bottleneck": first, "bottlenecks": rest}


def resnet50(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """G3."""
    new_state = dict[str, Any]()
    x = conv(params["conv"], batch["image"].astype(DTYPE), 2)
    x, new_state["batch_norm"] = batch_norm(params["batch_norm"], state["batch_norm"], x)
    x = jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    for name, stride in (("stage", 1), ("stage_2", 2), ("stage_3", 2), ("stage_4", 2)):
        x, new_state[name] = stage(params[name], state[name], x, stride)
    mean = x.astype(jnp.float32).mean(axis=(1, 2)).astype(DTYPE)
    return token_loss(dense(cast(params["dense"]), mean), batch["label"]), new_state
