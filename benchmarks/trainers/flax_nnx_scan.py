"""Flax NNX with the blocks of a GPT rolled into one by `nnx.scan`, which its users do for the sake of compile time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from .flax_nnx import GPT, NEEDS, EncoderBlock, Training
from .weights import Weights

__all__ = ["LABEL", "NEEDS", "WORKLOADS"]

LABEL = "Flax NNX, nnx.scan"


class RolledGPT(GPT):
    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        form = nnx.graphdef(self.blocks[0])
        states = [nnx.state(block) for block in self.blocks]
        self.blocks = nnx.merge(form, jax.tree.map(lambda *layers: jnp.stack(layers), *states))

    def through(self, x: jax.Array) -> jax.Array:
        """`f32[batch, seq, embed]`, after all blocks."""
        return scanned(x, self.blocks)


@nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
def scanned(x: jax.Array, block: EncoderBlock) -> jax.Array:
    return block(x, causal=True)


class TrainRolledGPT(Training):
    model = RolledGPT


WORKLOADS = {"w4_gpt": TrainRolledGPT, "w5_deep": TrainRolledGPT}
