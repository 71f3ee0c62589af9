"""Training in Trax 1.4: its layers and combinators, its own optimizers and its `Trainer`.

Where Trax has no layer, there is one as its users write them: learned positions, and a table of embeddings that is the
head of its model, too. Its Adam takes the share of a weight that decays in a step, not a multiple of the rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import numpy as np
import trax
from trax import layers as tl
from trax import optimizers

from .base import ADAMW, MOMENTUM, Array
from .weights import Weights, forget_bias

LABEL = "Trax"
NEEDS = ("jax", "trax")


class Table(tl.Embedding):
    """Embeddings of ids; of vectors, the logits of ids. In a model twice, it is one table."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) if jax.numpy.issubdtype(x.dtype, jax.numpy.integer) else x @ self.weights.T


class Positions(tl.Layer):
    """Adds a learned vector for each place."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, x: Any) -> Any:
        return x + self.weights[: x.shape[1]]

    def init_weights_and_state(self, input_signature: Any) -> None:
        self.weights = jax.numpy.zeros(self._shape)


Model = tuple[list[Any], list[Array]]
"""Layers in a row, and their weights in their order."""


def dense(weights: Weights) -> Model:
    w, b = weights["w"], weights.get("b")
    return [tl.Dense(w.shape[1], use_bias=b is not None)], [w] if b is None else [w, b]


def layer_norm(weights: Weights) -> Model:
    return [tl.LayerNorm(epsilon=1e-5)], [weights["scale"], weights["shift"]]


def attention(weights: Weights) -> Model:
    embed, heads, _ = weights["wq"].shape
    parts = [(weights[f"w{letter}"].reshape(embed, embed), weights[f"b{letter}"].ravel()) for letter in "qkvo"]
    return [tl.CausalAttention(embed, n_heads=heads)], [array for part in parts for array in part]


def lstm(weights: Weights) -> Model:
    w, u, b = (weights[f"lstm_cell.{name}"] for name in "wub")
    w, b = (in_order(array) for array in (np.concatenate([w, u]), forget_bias(b)))
    return [tl.LSTM(u.shape[0])], [w, b]


def in_order(gates: Array) -> Array:
    """Input, new value, forget, output, as Trax has them."""
    enters, forgets, new, leaves = np.split(gates, 4, axis=-1)
    return np.concatenate([enters, new, forgets, leaves], axis=-1)


def chain(*models: Model) -> Model:
    return [layer for layers, _ in models for layer in layers], [array for _, arrays in models for array in arrays]


def residual(*models: Model) -> Model:
    layers, arrays = chain(*models)
    return [tl.Residual(*layers)], arrays


def plain(layer: Any) -> Model:
    return [layer], []


def mlp(weights: Weights) -> Model:
    first, *rest = (dense(part) for part in weights.parts("dense"))
    return chain(first, *(chain(plain(tl.Relu()), layer) for layer in rest))


def language_model(weights: Weights) -> Model:
    w = weights["embedding.w"]
    cells = [lstm(part) for part in weights.parts("lstm")]
    return chain(([tl.Embedding(*w.shape)], [w]), *cells, dense(weights.part("dense")))


def encoder_block(weights: Weights) -> Model:
    norm, norm_2 = layer_norm(weights.part("layer_norm")), layer_norm(weights.part("layer_norm_2"))
    up, down = dense(weights.part("up")), dense(weights.part("down"))
    return chain(residual(norm, attention(weights.part("attention"))), residual(norm_2, up, plain(tl.Gelu()), down))


def gpt(weights: Weights) -> Model:
    w, positions = weights["table.w"], weights["positions.w"]
    table = Table(*w.shape)
    blocks = [encoder_block(layer) for layer in weights.layers("encoder_blocks")]
    norm = layer_norm(weights.part("layer_norm"))
    return chain(([table, Positions(positions.shape)], [w, positions]), *blocks, norm, plain(table))


def head(weights: Weights) -> Model:
    return dense(weights.part("dense"))


class Training:
    """Of `model`, which takes the field `inputs`, to give high logits to those of the field `targets`."""

    model: ClassVar[Any]
    inputs: ClassVar[str] = "tokens"
    targets: ClassVar[str] = "targets"

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None:
        layers, arrays = type(self).model(Weights(weights))
        model = tl.Serial(*layers, tl.CategoryCrossEntropy())
        self._batch = tuple(jax.numpy.asarray(batch[name]) for name in (self.inputs, self.targets))
        model.init(trax.shapes.signature(self._batch))
        slots, structure = jax.tree.flatten(model.weights)
        assert [slot.shape for slot in slots] == [array.shape for array in arrays], "weights in another order"
        model.weights = jax.tree.unflatten(structure, [jax.numpy.asarray(array) for array in arrays])
        optimizer = self.optimizer()
        optimizer.tree_init(model.weights)
        self._trainer = optimizers.Trainer(model, optimizer, n_devices=1)
        self._key, self._done = jax.random.PRNGKey(0), 0

    @staticmethod
    def optimizer() -> Any:
        """AdamW of a workload."""
        rate = ADAMW["learning_rate"]
        decay = rate * ADAMW["weight_decay"]
        return optimizers.Adam(rate, decay, ADAMW["b1"], ADAMW["b2"], ADAMW["eps"])

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        return float(self._trainer.accelerated_model_with_loss(self._batch))

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            self._trainer.one_step(self._batch, self._key, step=self._done)
            self._done += 1
        jax.block_until_ready(self._trainer.accelerated_model_with_loss.weights)


class TrainMLP(Training):
    model, inputs, targets = mlp, "image", "label"

    @staticmethod
    def optimizer() -> Any:
        """Momentum of a workload."""
        return optimizers.Momentum(MOMENTUM["learning_rate"], MOMENTUM["momentum"], 0.0, nesterov=False)


class TrainLSTM(Training):
    model = language_model


class TrainGPT(Training):
    model = gpt


class TrainHead(Training):
    model, inputs = head, "x"


WORKLOADS = {
    "w1_mlp": TrainMLP,
    "w3_lstm": TrainLSTM,
    "w4_gpt": TrainGPT,
    "w5_deep": TrainGPT,
    "w6_head": TrainHead,
}
