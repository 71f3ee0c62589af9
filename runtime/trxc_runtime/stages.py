"""Sampling stages one after another, and the draw from what they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from jax import Array

from .errors import RunError
from .sample.stage import Carry, Setting, Stage
from .untyped import jax, jnp


@dataclass(frozen=True)
class Stages(Stage):
    """Stages in order, as one stage; what it remembers is a tuple of what they do."""

    parts: tuple[Stage, ...] = ()
    arrays: ClassVar[Sequence[str]] = ("parts",)

    def bind(self, setting: Setting) -> Stages:
        """All of them for a model."""
        return Stages(tuple(part.bind(setting) for part in self.parts))

    def within(self, limit: int) -> Stages:
        """All of them, where at most ``limit`` tokens are drawn."""
        return Stages(tuple(part.within(limit) for part in self.parts))

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        """What each remembers of the prompts."""
        return tuple(part.begin(prompts, lengths, vocab) for part in self.parts)

    def __call__(self, logits: Array, carry: Carry) -> Array:
        """Scores after all of them."""
        for part, own in zip(self.parts, carry, strict=True):
            logits = part(logits, own)
        return logits

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        """What each remembers then."""
        return tuple(part.advance(own, tokens) for part, own in zip(self.parts, carry, strict=True))

    @property
    def certain(self) -> bool:
        """Whether the last of them is."""
        return bool(self.parts) and self.parts[-1].certain

    def over(self, carry: Carry) -> Array | bool:
        """Of each row whether one of them says that nothing may follow."""
        ended: Array | bool = False
        for part, own in zip(self.parts, carry, strict=True):
            ended |= part.over(own)
        return ended

    def draw(self, logits: Array, carry: Carry, key: Array) -> tuple[Array, Carry]:
        """One token a row, ``i32[rows]``, by ``logits: [rows, vocab]`` after all stages; and what each remembers."""
        logits = self(logits.astype(jnp.float32), carry)
        tokens = jnp.argmax(logits, axis=-1) if self.certain else jax.random.categorical(key, logits, axis=-1)
        tokens = tokens.astype(jnp.int32)
        return tokens, self.advance(carry, tokens)


@dataclass(frozen=True)
class Function(Stage):
    """A plain function of scores, ``f32[rows, vocab]`` to the same, as a stage."""

    function: Callable[[Array], Array]

    def __call__(self, logits: Array, carry: Carry) -> Array:
        """What the function makes of them."""
        return self.function(logits)


def stages_of(values: Iterable[object]) -> Stages:
    """Stages, and plain functions of scores, in order; raises :class:`RunError` for anything else."""
    return Stages(tuple(_stage(value) for value in values))


def _stage(value: Any) -> Stage:
    if isinstance(value, Stage):
        return value
    if not callable(value):
        raise RunError(
            f"{value!r} is no sampling stage",
            hints=("a stage is one of `trxc_runtime.sample`, or a function of scores f32[rows, vocab] to the same",),
        )
    return Function(cast("Callable[[Array], Array]", value))


def begin(stages: Stages, prompts: list[list[int]], follow: int, vocab: int) -> Carry:
    """What stages remember of prompts that at most ``follow`` tokens follow.

    The room for all of them is a power of two, so that few shapes are compiled.
    """
    lengths = np.array([len(prompt) for prompt in prompts], np.int32)
    room = 1 << (int(lengths.max()) + follow - 1).bit_length()
    tokens = np.zeros((len(prompts), room), np.int32)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    return stages.begin(jnp.asarray(tokens), jnp.asarray(lengths), vocab)
