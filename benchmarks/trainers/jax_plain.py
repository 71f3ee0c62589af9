"""Training steps in plain JAX, written straightforwardly: jitted and donated, with optax and `jax.nn`.

The models for GPUs are in :mod:`.jax_large`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from . import jax_large
from .base import ADAMW, GENTLE, MOMENTUM, Array

LABEL = "plain JAX"
NEEDS = ("jax", "optax")

STACKED = ("_blocks", "bottlenecks")
"""How the names of stacked layers end."""

Params = Any
Batch = Mapping[str, jax.Array]
LossFunction = Callable[[Params, Any, Batch], tuple[jax.Array, Any]]
"""Loss and new state, from weights, state and a batch."""


class PlainTrainer:
    """See :class:`.base.Trainer`."""

    def __init__(
        self,
        loss_function: LossFunction,
        optimizer: optax.GradientTransformation,
        weights: Mapping[str, Array],
        batch: Mapping[str, Array],
    ) -> None:
        self.loss_function, self.batch = loss_function, jax.tree.map(jnp.asarray, dict(batch))

        @partial(jax.jit, donate_argnums=(0, 1, 2))
        def step(params: Params, state: Any, opt_state: Any, batch: Batch) -> Any:
            (value, state), grads = jax.value_and_grad(loss_function, has_aux=True)(params, state, batch)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), state, opt_state, value

        params = layers_apart(weights)
        self.held = (params, running_statistics(params), optimizer.init(params))
        self.step: Any = step.lower(*self.held, self.batch).compile()
        self.temporaries = self.step.memory_analysis().temp_size_in_bytes

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        return float(jax.jit(self.loss_function)(*self.held[:2], self.batch)[0])

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            *held, _ = self.step(*self.held, self.batch)
            self.held = tuple(held)
        jax.block_until_ready(self.held)


def layers_apart(weights: Mapping[str, Array]) -> Params:
    """The tree of weights from dotted paths, with a list of trees where trxc stacks layers."""
    tree: dict[str, Any] = {}
    for path, array in weights.items():
        put(tree, path.split("."), array)
    return tree


def put(tree: dict[str, Any], path: list[str], array: Array) -> None:
    """An array to its place, or to its places in the layers."""
    name, *rest = path
    if not rest:
        tree[name] = jnp.array(array)
    elif name.endswith(STACKED):
        layers = tree.setdefault(name, [{} for _ in array])
        for layer, part in zip(layers, array, strict=True):
            put(layer, rest, part)
    else:
        put(tree.setdefault(name, {}), rest, array)


def running_statistics(params: Params) -> dict[str, Any]:
    """The state of the batch norms in a tree of weights."""
    state: dict[str, Any] = {}
    for name, part in params.items():
        if name.startswith("batch_norm"):
            state[name] = {"mean": jnp.zeros_like(part["shift"]), "var": jnp.ones_like(part["scale"])}
        elif isinstance(part, list):
            state[name] = [running_statistics(layer) for layer in part]
        elif isinstance(part, dict):
            state[name] = running_statistics(part)
    return {name: part for name, part in state.items() if jax.tree.leaves(part)}


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def dense(params: Params, x: jax.Array) -> jax.Array:
    """`x @ w + b`."""
    return x @ params["w"] + params["b"]


def mlp(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """W1."""
    x = jax.nn.relu(dense(params["dense"], batch["image"]))
    x = jax.nn.relu(dense(params["dense_2"], x))
    return cross_entropy(dense(params["dense_3"], x), batch["label"]), state


def conv(params: Params, x: jax.Array, stride: int = 1) -> jax.Array:
    """`[batch, height, width, channels]`."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, params["w"], (stride, stride), "SAME", dimension_numbers=numbers)


def batch_norm(params: Params, state: Any, x: jax.Array) -> tuple[jax.Array, Any]:
    """In training: with the batch's own statistics, which the running ones follow."""
    mean, var = jnp.mean(x, axis=(0, 1, 2)), jnp.var(x, axis=(0, 1, 2))
    new_state = {"mean": 0.9 * state["mean"] + 0.1 * mean, "var": 0.9 * state["var"] + 0.1 * var}
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * params["scale"] + params["shift"], new_state


def basic_block(params: Params, state: Any, x: jax.Array, stride: int) -> tuple[jax.Array, Any]:
    """Two convolutions beside a shortcut."""
    new_state = dict[str, Any]()
    y = conv(params["conv"], x, stride)
    y, new_state["batch_norm"] = batch_norm(params["batch_norm"], state["batch_norm"], y)
    y = conv(params["conv_2"], jax.nn.relu(y))
    y, new_state["batch_norm_2"] = batch_norm(params["batch_norm_2"], state["batch_norm_2"], y)
    if "conv_3" in params:
        x = conv(params["conv_3"], x, stride)
        x, new_state["batch_norm_3"] = batch_norm(params["batch_norm_3"], state["batch_norm_3"], x)
    return jax.nn.relu(x + y), new_state


def resnet(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """W2."""
    new_state = dict[str, Any]()
    x = conv(params["conv"], batch["image"])
    x, new_state["batch_norm"] = batch_norm(params["batch_norm"], state["batch_norm"], x)
    x = jax.nn.relu(x)
    for name in ("basic", *(f"basic_{number}" for number in range(2, 9))):
        stride = 2 if "conv_3" in params[name] else 1
        x, new_state[name] = basic_block(params[name], state[name], x, stride)
    return cross_entropy(dense(params["dense"], x.mean(axis=(1, 2))), batch["label"]), new_state


def lstm(params: Params, x: jax.Array) -> jax.Array:
    """`[batch, seq, _]` to `[batch, seq, hidden]`."""

    def cell(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x @ params["w"] + h @ params["u"] + params["b"], 4, axis=-1)
        c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[0], params["u"].shape[0]))
    _, hs = jax.lax.scan(cell, (zeros, zeros), x.swapaxes(0, 1))
    return hs.swapaxes(0, 1)


def language_model(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """W3."""
    x = params["embedding"]["w"][batch["tokens"]]
    for name in ("lstm", "lstm_2"):
        x = lstm(params[name]["lstm_cell"], x)
    return cross_entropy(dense(params["dense"], x), batch["targets"]), state


def layer_norm(params: Params, x: jax.Array) -> jax.Array:
    """Over the last dim."""
    return jax.nn.standardize(x, axis=-1, epsilon=1e-5) * params["scale"] + params["shift"]


def attention(params: Params, x: jax.Array, memory: jax.Array, mask: jax.Array) -> jax.Array:
    """Of `x: [batch, seq, embed]` to `memory: [batch, keys, embed]`.

    `mask` broadcasts to `[batch, heads, seq, keys]`.
    """
    q = jnp.einsum("bsd,dhe->bshe", x, params["wq"]) + params["bq"]
    k = jnp.einsum("btd,dhe->bthe", memory, params["wk"]) + params["bk"]
    v = jnp.einsum("btd,dhe->bthe", memory, params["wv"]) + params["bv"]
    scores = jnp.einsum("bshe,bthe->bhst", q, k) / q.shape[-1] ** 0.5
    weights = jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min), axis=-1)
    mixed = jnp.einsum("bhst,bthe->bshe", weights, v)
    return jnp.einsum("bshe,hed->bsd", mixed, params["wo"]) + params["bo"]


def feed_forward(params: Params, x: jax.Array) -> jax.Array:
    """Of a block."""
    return dense(params["down"], jax.nn.gelu(dense(params["up"], x), approximate=False))


def encoder_block(params: Params, x: jax.Array, mask: jax.Array) -> jax.Array:
    """Self-attention and a feed-forward layer."""
    h = layer_norm(params["layer_norm"], x)
    x = x + attention(params["attention"], h, h, mask)
    return x + feed_forward(params, layer_norm(params["layer_norm_2"], x))


def decoder_block(params: Params, x: jax.Array, memory: jax.Array, causal: jax.Array, mask: jax.Array) -> jax.Array:
    """Self-attention, attention to the memory, and a feed-forward layer."""
    h = layer_norm(params["layer_norm"], x)
    x = x + attention(params["attention"], h, h, causal)
    x = x + attention(params["cross"], layer_norm(params["layer_norm_2"], x), memory, mask)
    return x + feed_forward(params, layer_norm(params["layer_norm_3"], x))


def causal_mask(seq: int) -> jax.Array:
    """Which keys a query sees."""
    return jnp.tril(jnp.ones((seq, seq), bool))


def gpt(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """W4 and W5."""
    tokens, table = batch["tokens"], params["table"]["w"]
    seq = tokens.shape[1]
    x = table[tokens] + params["positions"]["w"][:seq]
    for layer in params["encoder_blocks"]:
        x = encoder_block(layer, x, causal_mask(seq))
    return cross_entropy(layer_norm(params["layer_norm"], x) @ table.T, batch["targets"]), state


def head(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """W6."""
    return cross_entropy(batch["x"] @ params["dense"]["w"], batch["targets"]), state


def sinusoids(seq: int, embed: int) -> jax.Array:
    """`[seq, embed]`: sines, then cosines."""
    half = embed // 2
    angle = jnp.arange(seq)[:, None] * 10_000.0 ** (-jnp.arange(half) / half)
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def translator(params: Params, state: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """W8."""
    source, target = batch["source"], batch["target"]
    mask = (source != 0)[:, None, None, :]
    memory = params["embedding"]["w"][source]
    memory = memory + sinusoids(*memory.shape[1:])
    for layer in params["encoder_blocks"]:
        memory = encoder_block(layer, memory, mask)
    x = params["embedding_2"]["w"][target]
    x = x + sinusoids(*x.shape[1:])
    for layer in params["decoder_blocks"]:
        x = decoder_block(layer, x, memory, causal_mask(target.shape[1]), mask)
    return cross_entropy(dense(params["dense"], layer_norm(params["layer_norm"], x)), target), state


ADAM, SGD = optax.adamw(**ADAMW), optax.sgd(**MOMENTUM)
WORKLOADS: dict[str, Callable[[Mapping[str, Array], Mapping[str, Array]], PlainTrainer]] = {
    "w1_mlp": partial(PlainTrainer, mlp, SGD),
    "w2_resnet": partial(PlainTrainer, resnet, SGD),
    "w3_lstm": partial(PlainTrainer, language_model, ADAM),
    "w4_gpt": partial(PlainTrainer, gpt, ADAM),
    "w5_deep": partial(PlainTrainer, gpt, ADAM),
    "w6_head": partial(PlainTrainer, head, ADAM),
    "w8_translator": partial(PlainTrainer, translator, ADAM),
    "g1_gpt2": partial(PlainTrainer, jax_large.gpt, ADAM),
    "g2_llama": partial(PlainTrainer, jax_large.llama, ADAM),
    "g3_resnet50": partial(PlainTrainer, jax_large.resnet50, optax.sgd(**GENTLE)),
}
