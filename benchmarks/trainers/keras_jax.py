"""Training in Keras 3 on jax: functional models of its own layers, and the training loop that its guide writes for jax.

That loop, of `stateless_call` and `stateless_apply` in one jitted step, compiles the same step as `fit` does, and is
spared the copying of variables to and fro that `train_on_batch` does at each step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
from keras import layers, ops

from .base import ADAMW, MOMENTUM, Array
from .weights import Weights, forget_bias, sinusoids

LABEL = "Keras (jax)"
NEEDS = ("jax", "keras")


def filled(layer: Any, shape: tuple[int | None, ...], *arrays: Array) -> Any:
    """The layer, built for inputs of this shape, with these weights."""
    layer.build(shape)
    layer.set_weights(list(arrays))
    return layer


def dense(weights: Weights, activation: Any = None) -> Any:
    w = weights["w"]
    layer = layers.Dense(w.shape[1], activation=activation, use_bias="b" in weights)
    return filled(layer, (None, w.shape[0]), w, *([weights["b"]] if "b" in weights else []))


def embedding(weights: Weights, kind: Any = layers.Embedding) -> Any:
    return filled(kind(*weights["w"].shape), (None, None), weights["w"])


def layer_norm(weights: Weights) -> Any:
    scale, shift = weights["scale"], weights["shift"]
    return filled(layers.LayerNormalization(epsilon=1e-5), (None, None, scale.size), scale, shift)


def attention(weights: Weights) -> Any:
    embed, heads, head = weights["wq"].shape
    shape = (None, None, embed)
    layer = layers.MultiHeadAttention(heads, head)
    layer.build(shape, shape)
    layer.set_weights([weights[kind + letter] for letter in ("q", "k", "v", "o") for kind in ("w", "b")])
    return layer


def convolution(weights: Weights, stride: int = 1) -> Any:
    high, wide, inputs, outputs = weights["w"].shape
    layer = layers.Conv2D(outputs, (high, wide), strides=stride, padding="same", use_bias=False)
    return filled(layer, (None, None, None, inputs), weights["w"])


def batch_norm(weights: Weights) -> Any:
    scale, shift = weights["scale"], weights["shift"]
    layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    shape = (None, None, None, scale.size)
    return filled(layer, shape, scale, shift, 0 * scale, 0 * scale + 1)


def lstm(weights: Weights) -> Any:
    w, u, b = (weights[f"lstm_cell.{name}"] for name in "wub")
    return filled(layers.LSTM(u.shape[0], return_sequences=True), (None, None, w.shape[0]), w, u, forget_bias(b))


class Positions(layers.Layer):
    """Learnt vectors for positions, added to the sequence."""

    def __init__(self, w: Array) -> None:
        super().__init__()
        self.w = self.add_weight(w.shape, initializer=keras.initializers.Zeros())
        self.w.assign(w)

    def call(self, x: Any) -> Any:
        return x + self.w[: x.shape[1]]


def gelu(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=False)


def mlp(weights: Weights, batch: Mapping[str, Array]) -> keras.Model:
    *hidden, last = weights.parts("dense")
    image = keras.Input(batch["image"].shape[1:])
    x = image
    for part in hidden:
        x = dense(part, "relu")(x)
    return keras.Model(image, dense(last)(x))


def basic(weights: Weights, x: Any) -> Any:
    """A block of the ResNet."""
    narrows = "conv_3" in weights
    y = convolution(weights.part("conv"), stride=2 if narrows else 1)(x)
    y = layers.ReLU()(batch_norm(weights.part("batch_norm"))(y))
    y = batch_norm(weights.part("batch_norm_2"))(convolution(weights.part("conv_2"))(y))
    if narrows:
        x = batch_norm(weights.part("batch_norm_3"))(convolution(weights.part("conv_3"), stride=2)(x))
    return layers.ReLU()(layers.Add()([y, x]))


def resnet(weights: Weights, batch: Mapping[str, Array]) -> keras.Model:
    image = keras.Input(batch["image"].shape[1:])
    x = batch_norm(weights.part("batch_norm"))(convolution(weights.part("conv"))(image))
    x = layers.ReLU()(x)
    for part in weights.parts("basic"):
        x = basic(part, x)
    return keras.Model(image, dense(weights.part("dense"))(layers.GlobalAveragePooling2D()(x)))


def language_model(weights: Weights, batch: Mapping[str, Array]) -> keras.Model:
    """Of LSTMs."""
    tokens = keras.Input(batch["tokens"].shape[1:], dtype="int32")
    x = embedding(weights.part("embedding"))(tokens)
    for part in weights.parts("lstm"):
        x = lstm(part)(x)
    return keras.Model(tokens, dense(weights.part("dense"))(x))


def feed_forward(weights: Weights, norm: str, x: Any) -> Any:
    h = dense(weights.part("up"), gelu)(layer_norm(weights.part(norm))(x))
    return x + dense(weights.part("down"))(h)


def encoder_block(weights: Weights, x: Any, mask: Any = None, *, causal: bool = False) -> Any:
    h = layer_norm(weights.part("layer_norm"))(x)
    x = x + attention(weights.part("attention"))(h, h, attention_mask=mask, use_causal_mask=causal)
    return feed_forward(weights, "layer_norm_2", x)


def decoder_block(weights: Weights, x: Any, memory: Any, mask: Any) -> Any:
    h = layer_norm(weights.part("layer_norm"))(x)
    x = x + attention(weights.part("attention"))(h, h, use_causal_mask=True)
    h = layer_norm(weights.part("layer_norm_2"))(x)
    x = x + attention(weights.part("cross"))(h, memory, attention_mask=mask)
    return feed_forward(weights, "layer_norm_3", x)


def gpt(weights: Weights, batch: Mapping[str, Array]) -> keras.Model:
    tokens = keras.Input(batch["tokens"].shape[1:], dtype="int32")
    table = embedding(weights.part("table"), layers.ReversibleEmbedding)
    x = Positions(weights["positions.w"])(table(tokens))
    for layer in weights.layers("encoder_blocks"):
        x = encoder_block(layer, x, causal=True)
    return keras.Model(tokens, table(layer_norm(weights.part("layer_norm"))(x), reverse=True))


def head(weights: Weights, batch: Mapping[str, Array]) -> keras.Model:
    x = keras.Input(batch["x"].shape[1:])
    return keras.Model(x, dense(weights.part("dense"))(x))


def translator(weights: Weights, batch: Mapping[str, Array]) -> keras.Model:
    source, target = (keras.Input(batch[name].shape[1:], dtype="int32") for name in ("source", "target"))
    memory, x = (
        embedding(part)(tokens) + sinusoids(tokens.shape[1], part["w"].shape[1])
        for part, tokens in zip(weights.parts("embedding"), (source, target), strict=True)
    )
    mask = ops.expand_dims(ops.not_equal(source, 0), 1)
    for layer in weights.layers("encoder_blocks"):
        memory = encoder_block(layer, memory, mask)
    for layer in weights.layers("decoder_blocks"):
        x = decoder_block(layer, x, memory, mask)
    return keras.Model([source, target], dense(weights.part("dense"))(layer_norm(weights.part("layer_norm"))(x)))


def adamw() -> Any:
    """Keras adds epsilon to a root not yet corrected for its start at 0: in the first step smaller by this factor."""
    names = {"b1": "beta_1", "b2": "beta_2", "eps": "epsilon"}
    settings = {**ADAMW, "eps": ADAMW["eps"] * (1 - ADAMW["b2"]) ** 0.5}
    return keras.optimizers.AdamW(**{names.get(name, name): value for name, value in settings.items()})


def momentum() -> Any:
    return keras.optimizers.SGD(**MOMENTUM)


class Training:
    """Of `model`, which takes the fields `inputs`, to give high logits to those of the field `targets`."""

    model: ClassVar[Callable[[Weights, Mapping[str, Array]], keras.Model]]
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    targets: ClassVar[str] = "targets"
    optimizer: ClassVar[Callable[[], Any]] = adamw

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None:
        self._model, self._optimizer = type(self).model(Weights(weights), batch), type(self).optimizer()
        self._optimizer.build(self._model.trainable_variables)
        variables = self._model.trainable_variables, self._model.non_trainable_variables, self._optimizer.variables
        # The first step gives up what it is given, and the model's own variables are still needed to trace it.
        self._state = [[jnp.copy(variable.value) for variable in kind] for kind in variables]
        inputs = [jnp.asarray(batch[name]) for name in self.inputs]
        self._batch = inputs if len(inputs) > 1 else inputs[0], jnp.asarray(batch[self.targets])
        self._compare = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._loss, step = jax.jit(self._mean_loss), jax.jit(self._update, donate_argnums=0)
        self._step = step.lower(self._state, *self._batch).compile()
        self.temporaries = self._step.memory_analysis().temp_size_in_bytes

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        trained, kept, _ = self._state
        return float(self._loss(trained, kept, *self._batch)[0])

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            self._state, _ = self._step(self._state, *self._batch)
        jax.block_until_ready(self._state)

    def _mean_loss(self, trained: Any, kept: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
        logits, kept = self._model.stateless_call(trained, kept, inputs, training=True)
        return self._compare(targets, logits), kept

    def _update(self, state: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
        trained, kept, moments = state
        find = jax.value_and_grad(self._mean_loss, has_aux=True)
        (loss, kept), gradients = find(trained, kept, inputs, targets)
        trained, moments = self._optimizer.stateless_apply(moments, gradients, trained)
        return [trained, kept, moments], loss


class TrainMLP(Training):
    model, inputs, targets, optimizer = mlp, ("image",), "label", momentum


class TrainResNet(Training):
    model, inputs, targets, optimizer = resnet, ("image",), "label", momentum


class TrainLSTM(Training):
    model = language_model


class TrainGPT(Training):
    model = gpt


class TrainHead(Training):
    model, inputs = head, ("x",)


class TrainTranslator(Training):
    model, inputs, targets = translator, ("source", "target"), "target"


WORKLOADS = {
    "w1_mlp": TrainMLP,
    "w2_resnet": TrainResNet,
    "w3_lstm": TrainLSTM,
    "w4_gpt": TrainGPT,
    "w5_deep": TrainGPT,
    "w6_head": TrainHead,
    "w8_translator": TrainTranslator,
}
