"""A program at work on several sequences: it reads some tokens of each, and gives scores for what may come next.

What is kept between two readings is a tree, of whose leaves it is known which axis counts the rows. So a row can be
taken, repeated or moved without knowing what it is, as :mod:`.beam` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, NamedTuple

from .trees import Tree
from .untyped import jax, jnp
from .xla_options import without_fusion

CHUNK = 256
"""Places of a prompt that are read at once, where what was read before is kept."""


class Given(NamedTuple):
    """What does not change while tokens are drawn: the model, and its inputs other than the prompt, rows first."""

    params: Tree
    state: Tree
    inputs: Mapping[str, Any]

    def beside(self, tree: Tree) -> Tree:
        """``tree`` on the devices that the weights are bound to, as what is computed from them will be.

        jax compiles a function once more where an argument is bound to devices that was not before. Weights of a
        checkpoint are, fresh ones and numbers of Python's are not.
        """
        bound = next((leaf.sharding for leaf in jax.tree.leaves(self.params) if _is_bound(leaf)), None)
        if bound is None:
            return tree
        if isinstance(bound, jax.sharding.NamedSharding):
            bound = jax.sharding.NamedSharding(bound.mesh, jax.sharding.PartitionSpec())

        def put(leaf: Any) -> Any:
            return leaf if _is_bound(leaf) else jax.device_put(leaf, bound)

        return jax.tree.map(put, tree)


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

        Both are a scalar, or ``i32[rows]`` where rows differ; of a row with a count of 0 then, what is kept stays.
        Gives the scores after them, ``f32[rows, vocab]``, and what is kept then.
        """

    @abstractmethod
    def read_each(
        self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int
    ) -> tuple[Any, Tree]:
        """As `read`, with the scores after every token, ``f32[rows, chunk, vocab]``; nothing is forgotten for room."""

    @abstractmethod
    def by_place(self, given: Given) -> Tree:
        """Of each leaf that is kept whether it holds places, each put where it belongs.

        Then tokens that were read in vain leave nothing behind: what was put at their places is written over before a
        later place looks there. Other leaves, such as a recurrence's carry, are what they are after the last token.
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

    @abstractmethod
    def entries(self, given: Given) -> Tree:
        """Of each leaf that is kept how many entries of that axis a row has, one after the other."""

    def take(self, given: Given, kept: Tree, rows: Any) -> Tree:
        """What is kept of these rows, ``i32[n]``, in this order; one may come several times."""

        def take(leaf: Any, axis: int, entries: int) -> Any:
            if axis < 0:
                return leaf
            every = jnp.reshape(rows[:, None] * entries + jnp.arange(entries), -1)
            return jnp.take(leaf, every, axis=axis, mode="clip")

        return jax.tree.map(take, kept, self.axes(given), self.entries(given))

    def grow(self, given: Given, kept: Tree, rows: int, capacity: int) -> Tree:
        """The same with room for more places: what has no more room than before stays, the rest is put into zeros."""
        return jax.tree.map(_put, self.begin(given, rows, capacity), kept)


def _put(larger: Any, leaf: Any) -> Any:
    return leaf if leaf.shape == larger.shape else jax.lax.dynamic_update_slice(larger, leaf, [0] * leaf.ndim)


def _after_last(logits: Any, count: Any) -> Any:
    return jax.lax.dynamic_index_in_dim(logits, count - 1, axis=1, keepdims=False)


def _after_each(logits: Any, count: Any) -> Any:
    del count
    return logits


def _unless_empty(count: Any, placed: bool, axis: int, after: Any, before: Any) -> Any:
    """What is kept after a chunk, or before it where none of it is real; what no row has of its own does not change."""
    return after if placed or axis < 0 else jnp.where(count > 0, after, before)


def _differ(one: Any, two: Any) -> bool:
    return one.shape != two.shape


def _axis(two: Any, three: Any) -> int:
    pairs = enumerate(zip(two.shape, three.shape, strict=True))
    return next((axis for axis, (one, other) in pairs if one != other), -1)


def _entries(two: Any, three: Any) -> int:
    return max(sum(three.shape) - sum(two.shape), 1)


def _mapped(axis: int) -> int | None:
    return None if axis < 0 else axis


def _by_row(leaf: Any, axis: int, entries: int) -> Any:
    """A leaf with a dim for the rows, before that of the entries of each."""
    return leaf if axis < 0 else leaf.reshape(*leaf.shape[:axis], -1, entries, *leaf.shape[axis + 1 :])


def _together(leaf: Any, axis: int) -> Any:
    return leaf if axis < 0 else leaf.reshape(*leaf.shape[:axis], -1, *leaf.shape[axis + 2 :])


class CachedRows(Rows):
    """By the program's own `decode`, which keeps what later places need of earlier ones.

    Rows that share a position are a batch of the program's. Where each has one of its own, each is a program of its own
    under `vmap`: its writes and its attention know what they are for rows, and take as long as for a batch.
    """

    def begin(self, given: Given, rows: int, capacity: int) -> Tree:
        """What `prepare` gives."""
        inputs = {**given.inputs, self.prompt: jnp.zeros((rows, 1), jnp.int32)}
        return self.program.prepare(given.params, given.state, inputs, capacity)

    def read(self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int) -> tuple[Any, Tree]:
        """By `decode`, for all rows at once or for each."""
        return self._read(given, kept, tokens, start, count, capacity, _after_last)

    def read_each(
        self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int
    ) -> tuple[Any, Tree]:
        """By `decode`, too; there is room for the chunk."""
        return self._read(given, kept, tokens, start, count, capacity, _after_each)

    def _read(
        self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int, scores: Any
    ) -> tuple[Any, Tree]:
        slots = jnp.arange(capacity, dtype=jnp.int32)

        def batch(kept: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
            inputs = {self.prompt: tokens, "start": start, "count": count, "slots": slots}
            outputs, kept = self.program.decode(given.params, kept, inputs)
            return scores(outputs[self.logits], count).astype(jnp.float32), kept

        if not jnp.ndim(start):
            return batch(kept, tokens, start, count)
        axes, placed = self.axes(given), self.by_place(given)

        def row(before: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
            logits, kept = batch(before, tokens[None], start, count)
            return logits[0], jax.tree.map(partial(_unless_empty, count), placed, axes, kept, before)

        mapped = jax.tree.map(_mapped, axes)
        kept = jax.tree.map(_by_row, kept, axes, self.entries(given))
        logits, kept = jax.vmap(row, (mapped, 0, 0, 0), (0, mapped))(kept, tokens, start, count)
        return logits, jax.tree.map(_together, kept, axes)

    def axes(self, given: Given) -> Tree:
        """Where what `prepare` gives for two rows and for three differs."""
        return jax.tree.map(_axis, self._prepared(given, 2), self._prepared(given, 3))

    def entries(self, given: Given) -> Tree:
        """By how much that differs: keys and values have one for each head."""
        return jax.tree.map(_entries, self._prepared(given, 2), self._prepared(given, 3))

    def _prepared(self, given: Given, rows: int) -> Tree:
        """The shapes of what `prepare` gives for so many rows."""

        def row(value: Any) -> Any:
            return jax.ShapeDtypeStruct((rows, *value.shape[1:]), value.dtype)

        def begin(given: Given) -> Tree:
            return self.begin(given, rows, CHUNK)

        return jax.eval_shape(begin, given._replace(inputs=jax.tree.map(row, given.inputs)))

    def by_place(self, given: Given) -> Tree:
        """Where what `prepare` gives for one place and for two differs.

        So do rings, which have room for the first :data:`CHUNK` places at least. They wrap later on, and stay right:
        a ring holds a window and :data:`CHUNK` - 1 places more, so that what a chunk puts at places that are read anew
        takes the room of none that a later window reaches.
        """

        def begin(capacity: int) -> Tree:
            return jax.eval_shape(partial(self.begin, rows=1, capacity=capacity), given)

        def one(value: Any) -> Any:
            return jax.ShapeDtypeStruct((1, *value.shape[1:]), value.dtype)

        given = given._replace(inputs=jax.tree.map(one, given.inputs))
        return jax.tree.map(_differ, begin(1), begin(2))

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

    def read_each(
        self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int
    ) -> tuple[Any, Tree]:
        """By `apply`; tokens past the capacity are left out, and their scores are not to be looked at."""
        rows = jnp.arange(tokens.shape[0])[:, None]
        places = jnp.reshape(start, (-1, 1)) + jnp.arange(tokens.shape[1])
        kept = kept.at[rows, places].set(tokens, mode="drop")
        outputs = self.program.apply(given.params, given.state, {**given.inputs, self.prompt: kept})
        return outputs[self.logits][rows, jnp.minimum(places, capacity - 1)].astype(jnp.float32), kept

    def axes(self, given: Given) -> Tree:
        """The first one."""
        return 0

    def entries(self, given: Given) -> Tree:
        """One, as the rows are."""
        return 1

    def by_place(self, given: Given) -> Tree:
        """The sequence does, as long as it is not longer than the capacity."""
        return True

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
        without_fusion(rows.begin, static_argnums=(1, 2)),
        without_fusion(rows.read, static_argnames="capacity", donate_argnums=1),
        without_fusion(rows.grow, static_argnums=(2, 3)),
    )


def _is_bound(leaf: Any) -> bool:
    return bool(getattr(leaf, "committed", False))
