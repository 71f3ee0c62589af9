"""Stages that keep a text within a form: a regular expression, or JSON that a schema describes.

What has been said of a text leads to a state of an automaton, and its table says which tokens may come next; all others
become -inf. Where the form is whole, eos may come, and has to where nothing else may.

Willard and Louf 2023 (Efficient Guided Generation for Large Language Models).
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jax import Array

from ..errors import RunError
from ..untyped import jnp
from .automaton import NEVER, shown, token_table
from .schema import expression_of
from .stage import Carry, Setting, Stage


@dataclass(frozen=True)
class Constraint(Stage):
    """A form that the text after the prompt has, once it has ended.

    A token that leaves too few of the recipe's `limit` to complete the form is not drawn either, so that a text that
    ends there has it, too. Without eos, a text ends where nothing can follow. Where stages before this one left none
    of the tokens that may come, these are equally likely.
    """

    arrays: ClassVar[Sequence[str]] = ("following", "distance", "left")
    excludes: ClassVar[bool] = True
    following: Any = field(init=False, default=None, repr=False, compare=False)
    distance: Any = field(init=False, default=None, repr=False, compare=False)
    left: Any = field(init=False, default=None, repr=False, compare=False)

    @property
    @abstractmethod
    def expression(self) -> str:
        """The form as a regular expression, of the whole text."""

    def bind(self, setting: Setting) -> Stage:
        if setting.tokenizer is None:
            raise RunError("a form of texts needs a tokenizer, and this recipe has none")
        table = token_table(self.expression, setting.tokenizer.pieces, setting.vocab, setting.eos)
        if int(table.distance[0]) >= NEVER:
            raise RunError(f"no text of this tokenizer's tokens matches {shown(self.expression)}")
        return _with(self, following=table.following, distance=table.distance).within(NEVER - 1)

    def within(self, limit: int) -> Stage:
        made, least = _with(self, left=jnp.int32(limit)), int(self.distance[0])
        if least > limit:
            raise RunError(
                f"the shortest text that matches {shown(self.expression)} has {least} tokens, and {limit} are drawn at "
                "most",
                hints=("raise `limit`",),
            )
        if not bool(jnp.any(made.allowed(made.first(1)))):
            raise RunError(f"of what matches {shown(self.expression)}, no text of 1 to {limit} tokens can end here")
        return made

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        return self.first(prompts.shape[0])

    def first(self, rows: int) -> Carry:
        """What is known before anything is said: the automaton's state, and how many tokens are left."""
        return {"state": jnp.zeros(rows, jnp.int32), "left": jnp.broadcast_to(self.left, (rows,))}

    def allowed(self, carry: Carry) -> Array:
        """The tokens that may come next, ``bool[rows, vocab]``."""
        after = self.following[carry["state"]]
        near = self.distance[jnp.maximum(after, 0)] < carry["left"][:, None]
        return (after >= 0) & near

    def __call__(self, logits: Array, carry: Carry) -> Array:
        allowed = self.allowed(carry)
        kept = jnp.where(allowed, logits, -jnp.inf)
        some = jnp.any(kept > -jnp.inf, axis=-1, keepdims=True)
        return jnp.where(some, kept, jnp.where(allowed, 0.0, -jnp.inf))

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        after = self.following[carry["state"], tokens].astype(jnp.int32)
        return {"state": jnp.where(after < 0, carry["state"], after), "left": carry["left"] - 1}

    def over(self, carry: Carry) -> Array:
        return ~jnp.any(self.allowed(carry), axis=-1)


def _with(stage: Constraint, **arrays: Any) -> Constraint:
    made = copy(stage)
    for name, value in arrays.items():
        object.__setattr__(made, name, value)
    return made


@dataclass(frozen=True)
class Matching(Constraint):
    """Texts that match a regular expression from their beginning to their end."""

    pattern: str

    @property
    def expression(self) -> str:
        return self.pattern


@dataclass(frozen=True)
class JsonSchema(Constraint):
    """JSON texts that are valid under a schema (https://json-schema.org), which is itself JSON.

    :mod:`.schema` says what of a schema is understood; anything else is refused.
    """

    schema: str | Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.schema, str):
            object.__setattr__(self, "schema", json.dumps(self.schema))

    @property
    def expression(self) -> str:
        return expression_of(str(self.schema))
