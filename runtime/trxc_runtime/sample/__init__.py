"""Sampling stages, composed by a recipe's ``sample = a >> b``; :mod:`.stage` says what a stage is.

Those that look at the scores alone are here, those that know tokens or remember what was said in :mod:`.penalties`,
:mod:`.exclusions` and :mod:`.constraint`.
"""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array

from ..untyped import jax, jnp
from .constraint import JsonSchema, Matching
from .exclusions import Forbid, NoRepeatNgram
from .penalties import FrequencyPenalty, PresencePenalty, RepetitionPenalty
from .stage import Carry, Setting, Stage, require


@dataclass(frozen=True)
class Temperature(Stage):
    """Divides scores by ``t``: below 1 likely tokens become likelier; 0 is :class:`Greedy`."""

    t: float

    def __post_init__(self) -> None:
        require(self.t >= 0, f"temperature cannot be negative: {self.t}")

    def __call__(self, logits: Array, carry: Carry) -> Array:
        return Greedy()(logits, carry) if self.t == 0 else logits / self.t

    @property
    def certain(self) -> bool:
        return self.t == 0


@dataclass(frozen=True)
class TopK(Stage):
    """Keeps the ``k`` likeliest tokens, and those that tie with the last of them (Fan et al. 2018)."""

    k: int

    def __post_init__(self) -> None:
        require(self.k >= 1, f"top_k needs at least one token: {self.k}")

    def __call__(self, logits: Array, carry: Carry) -> Array:
        kept = min(self.k, logits.shape[-1])
        least = jax.lax.top_k(logits, kept)[0][..., -1:]
        return jnp.where(logits >= least, logits, -jnp.inf)


@dataclass(frozen=True)
class TopP(Stage):
    """Keeps the fewest tokens whose probabilities reach ``p`` together (nucleus sampling, Holtzman et al. 2020)."""

    p: float

    def __post_init__(self) -> None:
        require(0 < self.p <= 1, f"top_p is a probability above 0: {self.p}")

    def __call__(self, logits: Array, carry: Carry) -> Array:
        order = jnp.sort(logits, axis=-1, descending=True)
        probabilities = jax.nn.softmax(order, axis=-1)
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        least = jnp.min(jnp.where(before < self.p, order, jnp.inf), axis=-1, keepdims=True)
        return jnp.where(logits >= least, logits, -jnp.inf)


@dataclass(frozen=True)
class MinP(Stage):
    """Keeps tokens at least ``p`` times as likely as the likeliest (Nguyen et al. 2024)."""

    p: float

    def __post_init__(self) -> None:
        require(0 <= self.p <= 1, f"min_p is a probability: {self.p}")

    def __call__(self, logits: Array, carry: Carry) -> Array:
        probabilities = jax.nn.softmax(logits, axis=-1)
        least = self.p * jnp.max(probabilities, axis=-1, keepdims=True)
        return jnp.where(probabilities >= least, logits, -jnp.inf)


@dataclass(frozen=True)
class Typical(Stage):
    """Keeps tokens about as surprising as is to be expected (locally typical sampling, Meister et al. 2022).

    Of the tokens by ``|-log(probability) - entropy|``, the fewest whose probabilities reach ``p`` together.
    """

    p: float

    def __post_init__(self) -> None:
        require(0 < self.p <= 1, f"typical is a probability above 0: {self.p}")

    def __call__(self, logits: Array, carry: Carry) -> Array:
        log_probabilities = jax.nn.log_softmax(logits, axis=-1)
        probabilities = jnp.exp(log_probabilities)
        surprise = -log_probabilities
        entropy = jnp.sum(jnp.where(probabilities > 0, probabilities * surprise, 0.0), axis=-1, keepdims=True)
        distance, sorted_probabilities = jax.lax.sort((jnp.abs(surprise - entropy), probabilities), num_keys=1)
        before = jnp.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
        farthest = jnp.max(jnp.where(before < self.p, distance, 0.0), axis=-1, keepdims=True)
        return jnp.where(jnp.abs(surprise - entropy) <= farthest, logits, -jnp.inf)


@dataclass(frozen=True)
class Greedy(Stage):
    """Keeps only the likeliest token; of several, the first."""

    @property
    def certain(self) -> bool:
        return True

    def __call__(self, logits: Array, carry: Carry) -> Array:
        likeliest = jnp.argmax(logits, axis=-1, keepdims=True)
        return jnp.where(jnp.arange(logits.shape[-1]) == likeliest, 0.0, -jnp.inf)


__all__ = [
    "Carry",
    "Forbid",
    "FrequencyPenalty",
    "Greedy",
    "JsonSchema",
    "Matching",
    "MinP",
    "NoRepeatNgram",
    "PresencePenalty",
    "RepetitionPenalty",
    "Setting",
    "Stage",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
]
