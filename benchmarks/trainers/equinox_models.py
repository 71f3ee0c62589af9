"""Training in Equinox: its own layers, for one example each and batched by `jax.vmap`, and a step in `eqx.filter_jit`.

Images have their channels first and weights their outputs first, as Equinox wants them; both are turned before the
first step. Batch norm is in the mode that Equinox recommends, `mode="batch"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .base import ADAMW, MOMENTUM, Array
from .weights import Weights, forget_bias, sinusoids

LABEL = "Equinox"
NEEDS = ("jax", "equinox", "optax")


def filled(layer: Any, **arrays: Array) -> Any:
    """The layer with these arrays in its fields."""
    return eqx.tree_at(
        lambda layer: [getattr(layer, name) for name in arrays], layer, [jnp.asarray(w) for w in arrays.values()]
    )


def linear(weights: Weights) -> eqx.nn.Linear:
    return product(weights["w"], weights.get("b"))


def product(w: Array, b: Array | None) -> eqx.nn.Linear:
    layer = eqx.nn.Linear(*w.shape, use_bias=b is not None, key=jax.random.key(0))
    return filled(layer, weight=w.T, **({} if b is None else {"bias": b}))


def embedding(weights: Weights) -> eqx.nn.Embedding:
    return eqx.nn.Embedding(weight=jnp.asarray(weights["w"]))


def layer_norm(weights: Weights) -> eqx.nn.LayerNorm:
    layer = eqx.nn.LayerNorm(weights["scale"].size, eps=1e-5)
    return filled(layer, weight=weights["scale"], bias=weights["shift"])


def attention(weights: Weights) -> eqx.nn.MultiheadAttention:
    embed, heads, _ = weights["wq"].shape
    biased = {f"use_{name}_bias": True for name in ("query", "key", "value", "output")}
    layer = eqx.nn.MultiheadAttention(heads, embed, **biased, key=jax.random.key(0))
    parts = [product(weights[f"w{letter}"].reshape(embed, embed), weights[f"b{letter}"].ravel()) for letter in "qkvo"]
    return eqx.tree_at(
        lambda layer: [layer.query_proj, layer.key_proj, layer.value_proj, layer.output_proj], layer, parts
    )


def convolution(weights: Weights, stride: int = 1) -> eqx.nn.Conv2d:
    w = weights["w"].transpose(3, 2, 0, 1)
    outputs, inputs, *window = w.shape
    layer = eqx.nn.Conv2d(inputs, outputs, window, stride, padding="SAME", use_bias=False, key=jax.random.key(0))
    return filled(layer, weight=w)


def batch_norm(weights: Weights) -> eqx.nn.BatchNorm:
    layer = eqx.nn.BatchNorm(weights["scale"].size, axis_name="batch", momentum=0.9, mode="batch")
    return filled(layer, weight=weights["scale"], bias=weights["shift"])


def lstm(weights: Weights) -> eqx.nn.LSTMCell:
    w, u, b = (weights[f"lstm_cell.{name}"] for name in "wub")
    layer = eqx.nn.LSTMCell(w.shape[0], u.shape[0], key=jax.random.key(0))
    return filled(layer, weight_ih=w.T, weight_hh=u.T, bias=forget_bias(b))


def mlp(weights: Weights) -> eqx.nn.MLP:
    layers = [linear(part) for part in weights.parts("dense")]
    first, *_, last = layers
    model = eqx.nn.MLP(first.in_features, last.out_features, first.out_features, len(layers) - 1, key=jax.random.key(0))
    return eqx.tree_at(lambda model: model.layers, model, tuple(layers))


class Basic(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    conv_2: eqx.nn.Conv2d
    norm_2: eqx.nn.BatchNorm
    shortcut: eqx.nn.Sequential | None

    def __init__(self, weights: Weights) -> None:
        narrows = "conv_3" in weights
        self.conv = convolution(weights.part("conv"), stride=2 if narrows else 1)
        self.norm = batch_norm(weights.part("batch_norm"))
        self.conv_2, self.norm_2 = convolution(weights.part("conv_2")), batch_norm(weights.part("batch_norm_2"))
        self.shortcut = None
        if narrows:
            conv, norm = convolution(weights.part("conv_3"), stride=2), batch_norm(weights.part("batch_norm_3"))
            self.shortcut = eqx.nn.Sequential([conv, norm])

    def __call__(self, x: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        y, state = self.norm(self.conv(x), state)
        y, state = self.norm_2(self.conv_2(jax.nn.relu(y)), state)
        if self.shortcut is not None:
            x, state = self.shortcut(x, state)
        return jax.nn.relu(y + x), state


class ResNet(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    blocks: list[Basic]
    dense: eqx.nn.Linear

    def __init__(self, weights: Weights) -> None:
        self.conv, self.norm = convolution(weights.part("conv")), batch_norm(weights.part("batch_norm"))
        self.blocks = [Basic(part) for part in weights.parts("basic")]
        self.dense = linear(weights.part("dense"))

    def __call__(self, image: jax.Array, state: eqx.nn.State) -> tuple[jax.Array, eqx.nn.State]:
        """Logits, `f32[classes]`, of `f32[3, 32, 32]`."""
        x, state = self.norm(self.conv(image), state)
        x = jax.nn.relu(x)
        for block in self.blocks:
            x, state = block(x, state)
        return self.dense(x.mean(axis=(1, 2))), state


class LSTM(eqx.Module):
    embedding: eqx.nn.Embedding
    cells: list[eqx.nn.LSTMCell]
    dense: eqx.nn.Linear

    def __init__(self, weights: Weights) -> None:
        self.embedding = embedding(weights.part("embedding"))
        self.cells = [lstm(part) for part in weights.parts("lstm")]
        self.dense = linear(weights.part("dense"))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits, `f32[seq, vocab]`."""
        x = jax.vmap(self.embedding)(tokens)
        for cell in self.cells:
            x = unrolled(cell, x)
        return jax.vmap(self.dense)(x)


def unrolled(cell: eqx.nn.LSTMCell, x: jax.Array) -> jax.Array:
    """What the cell says at each step: `f32[seq, hidden]`."""

    def step(state: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        state = cell(x, state)
        return state, state[0]

    zeros = jnp.zeros(cell.hidden_size)
    return jax.lax.scan(step, (zeros, zeros), x)[1]


class FeedForward(eqx.Module):
    norm: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, norm: Weights, weights: Weights) -> None:
        self.norm, self.up, self.down = layer_norm(norm), linear(weights.part("up")), linear(weights.part("down"))

    def __call__(self, x: jax.Array) -> jax.Array:
        """`f32[embed]`, of one token."""
        return x + self.down(jax.nn.gelu(self.up(self.norm(x)), approximate=False))


class EncoderBlock(eqx.Module):
    norm: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    feed: FeedForward

    def __init__(self, weights: Weights) -> None:
        self.norm, self.attention = layer_norm(weights.part("layer_norm")), attention(weights.part("attention"))
        self.feed = FeedForward(weights.part("layer_norm_2"), weights)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        h = jax.vmap(self.norm)(x)
        return jax.vmap(self.feed)(x + self.attention(h, h, h, mask))


class DecoderBlock(eqx.Module):
    norm: eqx.nn.LayerNorm
    attention: eqx.nn.MultiheadAttention
    norm_2: eqx.nn.LayerNorm
    cross: eqx.nn.MultiheadAttention
    feed: FeedForward

    def __init__(self, weights: Weights) -> None:
        self.norm, self.attention = layer_norm(weights.part("layer_norm")), attention(weights.part("attention"))
        self.norm_2, self.cross = layer_norm(weights.part("layer_norm_2")), attention(weights.part("cross"))
        self.feed = FeedForward(weights.part("layer_norm_3"), weights)

    def __call__(self, x: jax.Array, memory: jax.Array, causal: jax.Array, mask: jax.Array) -> jax.Array:
        h = jax.vmap(self.norm)(x)
        x = x + self.attention(h, h, h, causal)
        h = jax.vmap(self.norm_2)(x)
        return jax.vmap(self.feed)(x + self.cross(h, memory, memory, mask))


def causal(length: int) -> jax.Array:
    return jnp.tril(jnp.ones((length, length), bool))


class GPT(eqx.Module):
    table: eqx.nn.Embedding
    positions: jax.Array
    blocks: Any
    norm: eqx.nn.LayerNorm

    def __init__(self, weights: Weights) -> None:
        self.table, self.positions = embedding(weights.part("table")), jnp.asarray(weights["positions.w"])
        self.blocks = [EncoderBlock(layer) for layer in weights.layers("encoder_blocks")]
        self.norm = layer_norm(weights.part("layer_norm"))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits, `f32[seq, vocab]`."""
        x = self.through(jax.vmap(self.table)(tokens) + self.positions[: tokens.size])
        return jax.vmap(self.norm)(x) @ self.table.weight.T

    def through(self, x: jax.Array) -> jax.Array:
        """`f32[seq, embed]`, after all blocks."""
        for block in self.blocks:
            x = block(x, causal(len(x)))
        return x


class Head(eqx.Module):
    dense: eqx.nn.Linear

    def __init__(self, weights: Weights) -> None:
        self.dense = linear(weights.part("dense"))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits, `f32[seq, vocab]`."""
        return jax.vmap(self.dense)(x)


class Translator(eqx.Module):
    embedding: eqx.nn.Embedding
    embedding_2: eqx.nn.Embedding
    encoder: list[EncoderBlock]
    decoder: list[DecoderBlock]
    norm: eqx.nn.LayerNorm
    dense: eqx.nn.Linear

    def __init__(self, weights: Weights) -> None:
        self.embedding, self.embedding_2 = (embedding(part) for part in weights.parts("embedding"))
        self.encoder = [EncoderBlock(layer) for layer in weights.layers("encoder_blocks")]
        self.decoder = [DecoderBlock(layer) for layer in weights.layers("decoder_blocks")]
        self.norm, self.dense = layer_norm(weights.part("layer_norm")), linear(weights.part("dense"))

    def __call__(self, source: jax.Array, target: jax.Array) -> jax.Array:
        """Logits, `f32[target_len, vocab]`."""
        embed = self.dense.in_features
        seen = jnp.broadcast_to(source != 0, (source.size, source.size))
        memory = jax.vmap(self.embedding)(source) + sinusoids(source.size, embed)
        for block in self.encoder:
            memory = block(memory, seen)
        seen = jnp.broadcast_to(source != 0, (target.size, source.size))
        x = jax.vmap(self.embedding_2)(target) + sinusoids(target.size, embed)
        for block in self.decoder:
            x = block(x, memory, causal(target.size), seen)
        return jax.vmap(self.dense)(jax.vmap(self.norm)(x))


class Training:
    """Of `model`, which takes the fields `inputs`, to give high logits to those of the field `targets`."""

    model: ClassVar[Callable[[Weights], Any]]
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    targets: ClassVar[str] = "targets"
    optimizer: ClassVar[optax.GradientTransformation] = optax.adamw(**ADAMW)

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None:
        # Other models than the ResNet keep no state: theirs is empty.
        self._model, self._state = eqx.nn.make_with_state(type(self).model)(Weights(weights))
        self._moments = self.optimizer.init(eqx.filter(self._model, eqx.is_inexact_array))
        self._batch = [jnp.asarray(batch[name]) for name in self.inputs], jnp.asarray(batch[self.targets])
        self._loss, step = eqx.filter_jit(self._mean_loss), eqx.filter_jit(self._update, donate="all-except-first")
        self._step = step.lower(self._batch, self._model, self._state, self._moments).compile()
        self.temporaries = self._step.compiled.memory_analysis().temp_size_in_bytes

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        return float(self._loss(self._model, self._state, *self._batch)[0])

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            self._model, self._state, self._moments, _ = self._step(
                self._batch, self._model, self._state, self._moments
            )
        jax.block_until_ready(self._model)

    def _logits(self, model: Any, state: Any, inputs: list[jax.Array]) -> tuple[jax.Array, Any]:
        return jax.vmap(model)(*inputs), state

    def _mean_loss(self, model: Any, state: Any, inputs: list[jax.Array], targets: jax.Array) -> tuple[jax.Array, Any]:
        logits, state = self._logits(model, state, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean(), state

    def _update(self, batch: Any, model: Any, state: Any, moments: Any) -> tuple[Any, Any, Any, jax.Array]:
        (loss, state), gradients = eqx.filter_value_and_grad(self._mean_loss, has_aux=True)(model, state, *batch)
        updates, moments = self.optimizer.update(gradients, moments, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state, moments, loss


class TrainMLP(Training):
    model, inputs, targets, optimizer = mlp, ("image",), "label", optax.sgd(**MOMENTUM)


class TrainResNet(Training):
    model, inputs, targets, optimizer = ResNet, ("image",), "label", optax.sgd(**MOMENTUM)

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None:
        super().__init__(weights, {**batch, "image": batch["image"].transpose(0, 3, 1, 2)})

    def _logits(self, model: Any, state: Any, inputs: list[jax.Array]) -> tuple[jax.Array, Any]:
        return jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(*inputs, state)


class TrainLSTM(Training):
    model = LSTM


class TrainGPT(Training):
    model = GPT


class TrainHead(Training):
    model, inputs = Head, ("x",)


class TrainTranslator(Training):
    model, inputs, targets = Translator, ("source", "target"), "target"


WORKLOADS = {
    "w1_mlp": TrainMLP,
    "w2_resnet": TrainResNet,
    "w3_lstm": TrainLSTM,
    "w4_gpt": TrainGPT,
    "w5_deep": TrainGPT,
    "w6_head": TrainHead,
    "w8_translator": TrainTranslator,
}
