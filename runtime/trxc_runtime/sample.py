"""Sampling stages: pure functions from logits to logits, composed by a recipe's ``sample = a >> b``.

Each takes ``logits: f32[batch, vocab]`` and gives the same shape; what may not be drawn becomes -inf. The token is
then drawn from their softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jax import Array

from .errors import RunError
from .untyped import jax, jnp

Stage = Callable[[Array], Array]


@dataclass(frozen=True)
class Temperature:
    """Divides logits by ``t``: below 1 likely tokens become likelier; 0 is :class:`Greedy`."""

    t: float

    def __post_init__(self) -> None:
        _require(self.t >= 0, f"temperature cannot be negative: {self.t}")

    def __call__(self, logits: Array) -> Array:
        """Apply the stage: ``f32[batch, vocab]`` to the same."""
        return Greedy()(logits) if self.t == 0 else logits / self.t


@dataclass(frozen=True)
class TopK:
    """Keeps the ``k`` likeliest tokens, and those that tie with the last of them."""

    k: int

    def __post_init__(self) -> None:
        _require(self.k >= 1, f"top_k needs at least one token: {self.k}")

    def __call__(self, logits: Array) -> Array:
        """Apply the stage: ``f32[batch, vocab]`` to the same."""
        kept = min(self.k, logits.shape[-1])
        least = jax.lax.top_k(logits, kept)[0][..., -1:]
        return jnp.where(logits >= least, logits, -jnp.inf)


@dataclass(frozen=True)
class TopP:
    """Keeps the fewest tokens whose probabilities reach ``p`` together (nucleus sampling, Holtzman et al. 2020)."""

    p: float

    def __post_init__(self) -> None:
        _require(0 < self.p <= 1, f"top_p is a probability above 0: {self.p}")

    def __call__(self, logits: Array) -> Array:
        """Apply the stage: ``f32[batch, vocab]`` to the same."""
        order = jnp.sort(logits, axis=-1, descending=True)
        probabilities = jax.nn.softmax(order, axis=-1)
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        least = jnp.min(jnp.where(before < self.p, order, jnp.inf), axis=-1, keepdims=True)
        return jnp.where(logits >= least, logits, -jnp.inf)


@dataclass(frozen=True)
class MinP:
    """Keeps tokens at least ``p`` times as likely as the likeliest (Nguyen et al. 2024)."""

    p: float

    def __post_init__(self) -> None:
        _require(0 <= self.p <= 1, f"min_p is a probability: {self.p}")

    def __call__(self, logits: Array) -> Array:
        """Apply the stage: ``f32[batch, vocab]`` to the same."""
        probabilities = jax.nn.softmax(logits, axis=-1)
        least = self.p * jnp.max(probabilities, axis=-1, keepdims=True)
        return jnp.where(probabilities >= least, logits, -jnp.inf)


@dataclass(frozen=True)
class Greedy:
    """Keeps only the likeliest token; of several, the first."""

    def __call__(self, logits: Array) -> Array:
        """Apply the stage: ``f32[batch, vocab]`` to the same."""
        likeliest = jnp.argmax(logits, axis=-1, keepdims=True)
        return jnp.where(jnp.arange(logits.shape[-1]) == likeliest, 0.0, -jnp.inf)


def draw(logits: Array, stages: Sequence[Stage], key: Array) -> Array:
    """One token a row, ``i32[batch]``, from ``logits: [batch, vocab]`` after all stages, in order."""
    logits = logits.astype(jnp.float32)
    for stage in stages:
        logits = stage(logits)
    return jax.random.categorical(key, logits, axis=-1).astype(jnp.int32)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RunError(message)
