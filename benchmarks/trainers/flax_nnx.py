"""Training in Flax NNX: its own layers, `nnx.Optimizer`, and the jitted step of its guide to performance.

That guide splits model and optimizer into their form and their arrays before the loop, and lets `jax.jit` see the
arrays alone: `nnx.jit` walks through the whole model in Python, at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from .base import ADAMW, MOMENTUM, Array
from .weights import Weights, forget_bias, sinusoids

LABEL = "Flax NNX"
NEEDS = ("jax", "flax", "optax")


def linear(weights: Weights) -> nnx.Linear:
    layer = nnx.Linear(*weights["w"].shape, use_bias="b" in weights, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.asarray(weights["w"])
    if "b" in weights:
        layer.bias[...] = jnp.asarray(weights["b"])
    return layer


def embedding(weights: Weights) -> nnx.Embed:
    layer = nnx.Embed(*weights["w"].shape, rngs=nnx.Rngs(0))
    layer.embedding[...] = jnp.asarray(weights["w"])
    return layer


def layer_norm(weights: Weights) -> nnx.LayerNorm:
    layer = nnx.LayerNorm(weights["scale"].size, epsilon=1e-5, rngs=nnx.Rngs(0))
    layer.scale[...], layer.bias[...] = jnp.asarray(weights["scale"]), jnp.asarray(weights["shift"])
    return layer


def attention(weights: Weights) -> nnx.MultiHeadAttention:
    embed, heads, _ = weights["wq"].shape
    layer = nnx.MultiHeadAttention(heads, embed, decode=False, rngs=nnx.Rngs(0))
    for part, letter in ((layer.query, "q"), (layer.key, "k"), (layer.value, "v"), (layer.out, "o")):
        part.kernel[...], part.bias[...] = jnp.asarray(weights[f"w{letter}"]), jnp.asarray(weights[f"b{letter}"])
    return layer


def convolution(weights: Weights, stride: int = 1) -> nnx.Conv:
    high, wide, inputs, outputs = weights["w"].shape
    layer = nnx.Conv(inputs, outputs, (high, wide), strides=stride, use_bias=False, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.asarray(weights["w"])
    return layer


def batch_norm(weights: Weights) -> nnx.BatchNorm:
    layer = nnx.BatchNorm(weights["scale"].size, momentum=0.9, epsilon=1e-5, rngs=nnx.Rngs(0))
    layer.scale[...], layer.bias[...] = jnp.asarray(weights["scale"]), jnp.asarray(weights["shift"])
    return layer


def lstm(weights: Weights) -> nnx.RNN:
    inputs, gates = weights["lstm_cell.w"].shape
    cell = nnx.OptimizedLSTMCell(inputs, gates // 4, rngs=nnx.Rngs(0))
    cell.dense_i.kernel[...] = jnp.asarray(weights["lstm_cell.w"])
    cell.dense_h.kernel[...] = jnp.asarray(weights["lstm_cell.u"])
    cell.dense_h.bias[...] = jnp.asarray(forget_bias(weights["lstm_cell.b"]))
    return nnx.RNN(cell)


class MLP(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.layers = nnx.List(linear(part) for part in weights.parts("dense"))

    def __call__(self, image: jax.Array) -> jax.Array:
        """Logits, `f32[batch, classes]`."""
        x = image
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


class Basic(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        narrows = "conv_3" in weights
        self.conv = convolution(weights.part("conv"), stride=2 if narrows else 1)
        self.norm = batch_norm(weights.part("batch_norm"))
        self.conv_2 = convolution(weights.part("conv_2"))
        self.norm_2 = batch_norm(weights.part("batch_norm_2"))
        self.shortcut = nnx.data(None)
        if narrows:
            conv, norm = convolution(weights.part("conv_3"), stride=2), batch_norm(weights.part("batch_norm_3"))
            self.shortcut = nnx.Sequential(conv, norm)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.norm_2(self.conv_2(nnx.relu(self.norm(self.conv(x)))))
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.conv, self.norm = convolution(weights.part("conv")), batch_norm(weights.part("batch_norm"))
        self.blocks = nnx.List(Basic(part) for part in weights.parts("basic"))
        self.dense = linear(weights.part("dense"))

    def __call__(self, image: jax.Array) -> jax.Array:
        """Logits, `f32[batch, classes]`, of `f32[batch, 32, 32, 3]`."""
        x = nnx.relu(self.norm(self.conv(image)))
        for block in self.blocks:
            x = block(x)
        return self.dense(x.mean(axis=(1, 2)))


class LSTM(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.embedding = embedding(weights.part("embedding"))
        self.layers = nnx.List(lstm(part) for part in weights.parts("lstm"))
        self.dense = linear(weights.part("dense"))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits, `f32[batch, seq, vocab]`."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.dense(x)


class EncoderBlock(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.norm, self.attention = layer_norm(weights.part("layer_norm")), attention(weights.part("attention"))
        self.norm_2 = layer_norm(weights.part("layer_norm_2"))
        self.up, self.down = linear(weights.part("up")), linear(weights.part("down"))

    def __call__(self, x: jax.Array, mask: jax.Array | None = None, *, causal: bool = False) -> jax.Array:
        x = x + self.attention(self.norm(x), mask=mask, is_causal=causal)
        return x + self.down(nnx.gelu(self.up(self.norm_2(x)), approximate=False))


class DecoderBlock(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.norm, self.attention = layer_norm(weights.part("layer_norm")), attention(weights.part("attention"))
        self.norm_2, self.cross = layer_norm(weights.part("layer_norm_2")), attention(weights.part("cross"))
        self.norm_3 = layer_norm(weights.part("layer_norm_3"))
        self.up, self.down = linear(weights.part("up")), linear(weights.part("down"))

    def __call__(self, x: jax.Array, memory: jax.Array, mask: jax.Array) -> jax.Array:
        x = x + self.attention(self.norm(x), is_causal=True)
        x = x + self.cross(self.norm_2(x), memory, mask=mask)
        return x + self.down(nnx.gelu(self.up(self.norm_3(x)), approximate=False))


class GPT(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.table = embedding(weights.part("table"))
        self.positions = nnx.Param(jnp.asarray(weights["positions.w"]))
        self.blocks = nnx.List(EncoderBlock(layer) for layer in weights.layers("encoder_blocks"))
        self.norm = layer_norm(weights.part("layer_norm"))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits, `f32[batch, seq, vocab]`."""
        x = self.through(self.table(tokens) + self.positions[: tokens.shape[1]])
        return self.table.attend(self.norm(x))

    def through(self, x: jax.Array) -> jax.Array:
        """`f32[batch, seq, embed]`, after all blocks."""
        for block in self.blocks:
            x = block(x, causal=True)
        return x


class Head(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.dense = linear(weights.part("dense"))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits, `f32[batch, seq, vocab]`."""
        return self.dense(x)


class Translator(nnx.Module):
    def __init__(self, weights: Weights) -> None:
        self.embedding, self.embedding_2 = (embedding(part) for part in weights.parts("embedding"))
        self.encoder = nnx.List(EncoderBlock(layer) for layer in weights.layers("encoder_blocks"))
        self.decoder = nnx.List(DecoderBlock(layer) for layer in weights.layers("decoder_blocks"))
        self.norm, self.dense = layer_norm(weights.part("layer_norm")), linear(weights.part("dense"))

    def __call__(self, source: jax.Array, target: jax.Array) -> jax.Array:
        """Logits, `f32[batch, target_len, vocab]`."""
        mask = (source != 0)[:, None, None, :]
        memory = self.embedding(source)
        memory = memory + sinusoids(*memory.shape[1:])
        for block in self.encoder:
            memory = block(memory, mask)
        x = self.embedding_2(target)
        x = x + sinusoids(*x.shape[1:])
        for block in self.decoder:
            x = block(x, memory, mask)
        return self.dense(self.norm(x))


class Training:
    """Of `model`, which takes the fields `inputs`, to give high logits to those of the field `targets`."""

    model: ClassVar[Callable[[Weights], nnx.Module]]
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    targets: ClassVar[str] = "targets"
    optimizer: ClassVar[optax.GradientTransformation] = optax.adamw(**ADAMW)

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None:
        model = type(self).model(Weights(weights))
        self._form, self._state = nnx.split((model, nnx.Optimizer(model, self.optimizer, wrt=nnx.Param)))
        self._inputs = [jnp.asarray(batch[name]) for name in self.inputs]
        self._targets = jnp.asarray(batch[self.targets])
        self._step = step.lower(self._form, self._state, self._inputs, self._targets).compile()
        self.temporaries = self._step.memory_analysis().temp_size_in_bytes

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        model, _ = nnx.merge(self._form, self._state)
        return float(jitted_loss(model, self._inputs, self._targets))

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            self._state, _ = self._step(self._state, self._inputs, self._targets)
        jax.block_until_ready(self._state)


def mean_loss(model: Any, inputs: list[jax.Array], targets: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(model(*inputs), targets).mean()


jitted_loss = nnx.jit(mean_loss)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def step(form: Any, state: Any, inputs: list[jax.Array], targets: jax.Array) -> tuple[Any, jax.Array]:
    model, optimizer = nnx.merge(form, state)
    loss, gradients = nnx.value_and_grad(mean_loss)(model, inputs, targets)
    optimizer.update(model, gradients)
    return nnx.state((model, optimizer)), loss


class TrainMLP(Training):
    model, inputs, targets, optimizer = MLP, ("image",), "label", optax.sgd(**MOMENTUM)


class TrainResNet(Training):
    model, inputs, targets, optimizer = ResNet, ("image",), "label", optax.sgd(**MOMENTUM)


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
