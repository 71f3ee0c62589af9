"""A program at work on several sequences: it reads some tokens of each, and gives scores for what may come next.

What is kept between two readings is a tree, of whose leaves it is known which axis counts the rows. So a row can be
taken, repeated or moved without knowing what it is, as :mod:`.beam` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from .trees import Tree
from .untyped import jax, jnp

CHUNK = 256
"""Places of a prompt that are read at once, where what was read before is kept."""


class Given(NamedTuple):
    """What does not change while tokens are drawn: the model, and its inputs other than the prompt, rows first."""

    params: Tree
    state: Tree
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Rows(ABC):
    """How a program reads: ``prompt`` names the input that grows, ``logits`` the output of scores.

    ``context`` is the longest sequence that can be read, None where there is no bound.
    """

    program: ModuleType
    prompt: str
    logits: str
    context: int | None

    @abstractmethod
    def begin(self, given: Given, rows: int, capacity: int) -> Tree:
        """What is kept before anything was read, with room for ``capacity`` places."""

    @abstractmethod
    def read(self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int) -> tuple[Any, Tree]:
        """Reads ``count`` tokens of ``i32[rows, chunk]`` from place ``start`` on.

        Both are a scalar, or ``i32[rows]`` where rows differ. Gives the scores after them, ``f32[rows, vocab]``, and
        what is kept then.
        """

    @abstractmethod
    def chunk(self, longest: int) -> int:
        """How many places prompts of at most this length are read at once; a power of two."""

    @property
    @abstractmethod
    def slides(self) -> bool:
        """Whether, past the context, the oldest token is forgotten for each new one, without more ado."""

    @abstractmethod
    def axes(self, given: Given) -> Tree:
        """Of each leaf that is kept the axis that counts the rows; -1 where all rows share it."""

    def take(self, given: Given, kept: Tree, rows: Any) -> Tree:
        """What is kept of these rows, ``i32[n]``, in this order; one may come several times."""

        def take(leaf: Any, axis: int) -> Any:
            return leaf if axis < 0 else jnp.take(leaf, rows, axis=axis, mode="clip")

        return jax.tree.map(take, kept, self.axes(given))

    def grow(self, given: Given, kept: Tree, rows: int, capacity: int) -> Tree:
        """The same with room for more places: what has no more room than before stays, the rest is put into zeros."""
        return jax.tree.map(_put, self.begin(given, rows, capacity), kept)


def _put(larger: Any, leaf: Any) -> Any:
    return leaf if leaf.shape == larger.shape else jax.lax.dynamic_update_slice(larger, leaf, [0] * leaf.ndim)


def _axis(two: Any, three: Any) -> int:
    return next((axis for axis, sizes in enumerate(zip(two.shape, three.shape, strict=True)) if sizes == (2, 3)), -1)


def _mapped(axis: int) -> int | None:
    return None if axis < 0 else axis


def _expand(leaf: Any, axis: int) -> Any:
    return leaf if axis < 0 else jnp.expand_dims(leaf, axis)


def _squeeze(leaf: Any, axis: int) -> Any:
    return leaf if axis < 0 else jnp.squeeze(leaf, axis)


class CachedRows(Rows):
    """By the program's own `decode`, which keeps what later places need of earlier ones.

    Rows that share a position are a batch of the program's. Where each has one of its own, each is a program of its own
    under `vmap`, which writes into caches by scattering. Mapped over where it is not needed, too, XLA lays out products
    with values so that it copies all of their cache for each token: two to four times as long for 8 rows of a small GPT
    on two cores.
    """

    def begin(self, given: Given, rows: int, capacity: int) -> Tree:
        """What `prepare` gives."""
        inputs = {**given.inputs, self.prompt: jnp.zeros((rows, 1), jnp.int32)}
        return self.program.prepare(given.params, given.state, inputs, capacity)

    def read(self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int) -> tuple[Any, Tree]:
        """By `decode`, for all rows at once or for each."""
        slots = jnp.arange(capacity, dtype=jnp.int32)

        def batch(kept: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
            inputs = {self.prompt: tokens, "start": start, "count": count, "slots": slots}
            outputs, kept = self.program.decode(given.params, kept, inputs)
            logits = jax.lax.dynamic_index_in_dim(outputs[self.logits], count - 1, axis=1, keepdims=False)
            return logits.astype(jnp.float32), kept

        if not jnp.ndim(start):
            return batch(kept, tokens, start, count)
        axes = self.axes(given)

        def row(kept: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
            logits, kept = batch(jax.tree.map(_expand, kept, axes), tokens[None], start, count)
            return logits[0], jax.tree.map(_squeeze, kept, axes)

        mapped = jax.tree.map(_mapped, axes)
        return jax.vmap(row, (mapped, 0, 0, 0), (0, mapped))(kept, tokens, start, count)

    def axes(self, given: Given) -> Tree:
        """Where what `prepare` gives for two rows and for three differs."""

        def prepared(rows: int) -> Tree:
            def row(value: Any) -> Any:
                return jax.ShapeDtypeStruct((rows, *value.shape[1:]), value.dtype)

            inputs = jax.tree.map(row, given.inputs)

            def begin(given: Given) -> Tree:
                return self.begin(given, rows, CHUNK)

            return jax.eval_shape(begin, given._replace(inputs=inputs))

        return jax.tree.map(_axis, prepared(2), prepared(3))

    def chunk(self, longest: int) -> int:
        """:data:`CHUNK` at most."""
        return min(CHUNK, power_of_two(longest))

    @property
    def slides(self) -> bool:
        """No: what is kept of the oldest token has a part in the rest."""
        return False


class WholeRows(Rows):
    """By the program's `apply`, on the whole sequence anew: what is kept is the sequence, filled up with zeros.

    For causal models, where what stands to the right of a place does not change its scores.
    """

    def begin(self, given: Given, rows: int, capacity: int) -> Tree:
        """Zeros, ``i32[rows, capacity]``."""
        return jnp.zeros((rows, capacity), jnp.int32)

    def read(self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int) -> tuple[Any, Tree]:
        """By `apply`; past the capacity, the oldest token goes."""
        rows = tokens.shape[0]
        start, count = jnp.broadcast_to(start, rows), jnp.broadcast_to(count, rows)
        over = start + count > capacity
        kept = jnp.where(over[:, None], jnp.roll(kept, -1, axis=1), kept)
        at = jnp.where(over, capacity - 1, start)
        kept = jax.vmap(jax.lax.dynamic_update_slice_in_dim, (0, 0, 0, None))(kept, tokens, at, 0)
        outputs = self.program.apply(given.params, given.state, {**given.inputs, self.prompt: kept})
        return outputs[self.logits][jnp.arange(rows), at + count - 1].astype(jnp.float32), kept

    def axes(self, given: Given) -> Tree:
        """The first one."""
        return 0

    def chunk(self, longest: int) -> int:
        """All of them."""
        return power_of_two(longest) if self.context is None else min(power_of_two(longest), self.context)

    @property
    def slides(self) -> bool:
        """Yes: all is computed anew in any case."""
        return True


def power_of_two(least: int) -> int:
    """The smallest power of two that is at least ``least``."""
    return 1 << (max(least, 1) - 1).bit_length()


@dataclass(frozen=True)
class Compiled:
    """The jitted functions of some rows; what is kept is donated to `read`."""

    begin: Any
    read: Any
    grow: Any


@lru_cache(maxsize=8)
def compiled(rows: Rows) -> Compiled:
    """Jitted functions, so that a second generation does not compile again."""
    return Compiled(
        jax.jit(rows.begin, static_argnums=(1, 2)),
        jax.jit(rows.read, static_argnames="capacity", donate_argnums=1),
        jax.jit(rows.grow, static_argnums=(2, 3)),
    )
