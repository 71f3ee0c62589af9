"""Equinox with the blocks of a GPT rolled into one by `jax.lax.scan`, as its page of tricks has it."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .equinox_models import GPT, NEEDS, Training, causal
from .weights import Weights

__all__ = ["LABEL", "NEEDS", "WORKLOADS"]

LABEL = "Equinox, lax.scan"


class RolledGPT(GPT):
    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        arrays = [eqx.filter(block, eqx.is_array) for block in self.blocks]
        _, rest = eqx.partition(self.blocks[0], eqx.is_array)
        self.blocks = eqx.combine(jax.tree.map(lambda *layers: jnp.stack(layers), *arrays), rest)

    def through(self, x: jax.Array) -> jax.Array:
        """`f32[seq, embed]`, after all blocks."""
        layers, rest = eqx.partition(self.blocks, eqx.is_array)

        def step(x: jax.Array, layer: Any) -> tuple[jax.Array, None]:
            return eqx.combine(layer, rest)(x, causal(len(x))), None

        return jax.lax.scan(step, x, layers)[0]


class TrainRolledGPT(Training):
    model = RolledGPT


WORKLOADS = {"w4_gpt": TrainRolledGPT, "w5_deep": TrainRolledGPT}
