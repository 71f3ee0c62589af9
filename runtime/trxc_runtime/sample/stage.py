"""What a sampling stage is: a function from scores to scores that may remember what was said, all of it under jit.

A stage is a frozen dataclass and a tree: fields that :attr:`Stage.arrays` names are its leaves, such as the table of
an automaton or the weights of another model, so that they are handed to a compiled loop and not compiled into it. All
other fields are hashable, and part of what the loop is compiled for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from jax import Array

from ..declared import Declared
from ..errors import RunError
from ..untyped import jax

if TYPE_CHECKING:
    from ..data.tokenizers import Tokenizer
    from ..model import Model

Carry = Any
"""What a stage remembers: a tree of arrays, each with the rows first; ``()`` where it remembers nothing."""


@dataclass(frozen=True)
class Setting:
    """Where a stage is to work: how many tokens there are, what they stand for, and which of them ends a text."""

    vocab: int
    tokenizer: Tokenizer | None = None
    eos: int | None = None
    model: Model | None = None


class Stage(Declared, ABC):
    """One stage. What may not be drawn becomes -inf; a token is drawn from the softmax of what the last one gives."""

    arrays: ClassVar[Sequence[str]] = ()
    excludes: ClassVar[bool] = False
    """Whether it only excludes tokens, and leaves the scores of others as they are: a search, too, can go by it."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        jax.tree_util.register_pytree_node(cls, _flatten, partial(_unflatten, cls))

    def bind(self, setting: Setting) -> Stage:
        """The stage for a model and its tokenizer, before anything is drawn; raises :class:`RunError`."""
        del setting
        return self

    def within(self, limit: int) -> Stage:
        """The stage where at most ``limit`` tokens are drawn; raises :class:`RunError`."""
        del limit
        return self

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        """What is remembered of ``prompts: i32[rows, length]``, of which ``lengths: i32[rows]`` tokens are there.

        ``length`` has room for everything that may be said after them.
        """
        del prompts, lengths, vocab
        return ()

    @abstractmethod
    def __call__(self, logits: Array, carry: Carry) -> Array:
        """New scores, ``f32[rows, vocab]``, of the same."""

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        """What is remembered after ``tokens: i32[rows]`` were said."""
        del tokens
        return carry

    @property
    def certain(self) -> bool:
        """Whether it leaves one token, which is taken without a draw where no stage comes after it."""
        return False

    def over(self, carry: Carry) -> Array | bool:
        """Of each row, ``bool[rows]``, whether nothing may follow, so that its text has ended; False for all."""
        del carry
        return False


def require(holds: bool, message: str) -> None:
    """Refuses, by a :class:`RunError`, an argument that makes no sense."""
    if not holds:
        raise RunError(message)


def _flatten(stage: Stage) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return tuple(getattr(stage, name) for name in stage.arrays), tuple(
        getattr(stage, name) for name in _settings(type(stage))
    )


def _unflatten(kind: type[Stage], settings: Sequence[Any], leaves: Sequence[Any]) -> Stage:
    """A stage as it was, unchecked: its leaves may be anything that jax puts in their place."""
    stage = object.__new__(kind)
    for name, value in [*zip(_settings(kind), settings, strict=True), *zip(kind.arrays, leaves, strict=True)]:
        object.__setattr__(stage, name, value)
    return stage


def _settings(kind: type[Stage]) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in kind.arrays]  # pyright: ignore[reportArgumentType] - a dataclass, as all are
