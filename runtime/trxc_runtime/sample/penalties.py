"""Stages that make likelier, or less likely, what was said already."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array

from ..untyped import jnp
from .stage import Carry, Stage, require


@dataclass(frozen=True)
class RepetitionPenalty(Stage):
    """Scores of tokens of the prompt or since then are divided by ``r`` if positive, else multiplied by it.

    Keskar et al. 2019 (CTRL), with the sign taken into account as in their code: ``r`` above 1 always makes them less
    likely. 1 changes nothing.
    """

    r: float

    def __post_init__(self) -> None:
        require(self.r > 0, f"repetition_penalty is a number above 0: {self.r}")

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        there = jnp.arange(prompts.shape[1]) < lengths[:, None]
        rows = jnp.arange(prompts.shape[0])[:, None]
        return jnp.zeros((prompts.shape[0], vocab), bool).at[rows, prompts].max(there, mode="drop")

    def __call__(self, logits: Array, carry: Carry) -> Array:
        return jnp.where(carry, jnp.where(logits > 0, logits / self.r, logits * self.r), logits)

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        return carry | (tokens[:, None] == jnp.arange(carry.shape[1]))


@dataclass(frozen=True)
class PresencePenalty(Stage):
    """Takes ``a`` from the scores of tokens that were generated at least once (as OpenAI's API defines it)."""

    a: float

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        return jnp.zeros((prompts.shape[0], vocab), bool)

    def __call__(self, logits: Array, carry: Carry) -> Array:
        return jnp.where(carry, logits - self.a, logits)

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        return carry | (tokens[:, None] == jnp.arange(carry.shape[1]))


@dataclass(frozen=True)
class FrequencyPenalty(Stage):
    """Takes ``a`` from a token's score for each time that it was generated (as OpenAI's API defines it)."""

    a: float

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        return jnp.zeros((prompts.shape[0], vocab), jnp.int32)

    def __call__(self, logits: Array, carry: Carry) -> Array:
        return logits - self.a * carry

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        return carry + (tokens[:, None] == jnp.arange(carry.shape[1]))
