"""Rounds of speculative sampling: a draft proposes some tokens, and the target reads all of them at once.

A proposal ``x`` drawn from the draft's ``q`` is accepted with probability ``min(1, p(x) / q(x))``, ``p`` being the
target's; what takes the place of the first that is not is drawn from ``max(p - q, 0)``, scaled to sum up to one. So
what is said follows ``p`` exactly, whatever the draft proposes (Leviathan et al. 2023; Chen et al. 2023). ``p`` and
``q`` are what the same stages leave of both models' scores, and with `greedy()` both are one token each.

Between two rounds neither model has read the last token of a row: the target reads it with the proposals, so that their
scores and those of the token behind them come of one reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from .rows import Given, Rows
from .sample.stage import Carry
from .stages import Stages
from .trees import Tree
from .untyped import jax, jnp
from .xla_options import without_fusion


class Side(NamedTuple):
    """A model at work: what it has kept, and the place ``i32[rows]`` of the last token, which it has not read."""

    kept: Tree
    place: Any


class Held(NamedTuple):
    """Where rows are: both models, their last tokens ``i32[rows]``, how many were said, and whether they have ended.

    ``counts: i32[3]`` are rounds of rows, tokens that were proposed in them, and those of them that were accepted.
    """

    target: Side
    draft: Side
    carry: Carry
    last: Any
    said: Any
    ended: Any
    round: Any
    counts: Any


class Bounds(NamedTuple):
    """Where a burst ends: when each row has said ``goal`` tokens; none says more than ``most``; and what ends a row."""

    goal: Any
    most: Any
    eos: Any


class Proposals(NamedTuple):
    """What a draft proposes: ``tokens: i32[ahead, rows]``, each drawn from ``chances: f32[ahead, rows, vocab]``.

    ``carries`` are what stages remember before each of them and after the last. Of the draft, ``kept`` is what it keeps
    when it has read them all, and ``once`` what it kept after each token, of the leaves that do not hold places.
    """

    tokens: Any
    chances: Any
    carries: Carry
    kept: Tree
    once: Tree


@lru_cache(maxsize=8)
def compiled_rounds(target: Rows, draft: Rows, ahead: int, width: int) -> Any:
    """The jitted loop of :class:`Rounds`; what is held is donated."""
    return without_fusion(Rounds(target, draft, ahead, width), static_argnames="capacities", donate_argnums=2)


@dataclass(frozen=True)
class Rounds:
    """Rounds until each row has said what is wanted of it, or until a row has no room left that the draft needs."""

    target: Rows
    draft: Rows
    ahead: int
    width: int

    def __call__(
        self,
        given: tuple[Given, Given],
        stages: Stages,
        held: Held,
        key: Any,
        bounds: Bounds,
        capacities: tuple[int, int],
    ) -> tuple[Any, Held]:
        """The tokens that were said, ``i32[rows, width]``, from the left; and how it goes on from there."""
        begun = held.said

        def step(state: tuple[Any, Held]) -> tuple[Any, Held]:
            texts, held = state
            active = ~held.ended & (held.said < jnp.minimum(bounds.goal, bounds.most))
            tokens, count, after = self._round(given, stages, held, active, key, bounds, capacities)
            at = jnp.arange(self.ahead + 1)
            column = jnp.where(at < count[:, None], (held.said - begun)[:, None] + at, self.width)
            return texts.at[jnp.arange(len(count))[:, None], column].set(tokens, mode="drop"), after

        def goes_on(state: tuple[Any, Held]) -> Any:
            held = state[1]
            open_ = ~held.ended & (held.said < bounds.most)
            fits = held.draft.place + self.ahead + 1 <= capacities[1]
            return jnp.any(open_ & (held.said < bounds.goal)) & jnp.all(~open_ | fits)

        texts = jnp.zeros((begun.shape[0], self.width), jnp.int32)
        return jax.lax.while_loop(goes_on, step, (texts, held))

    def _round(
        self,
        given: tuple[Given, Given],
        stages: Stages,
        held: Held,
        active: Any,
        key: Any,
        bounds: Bounds,
        capacities: tuple[int, int],
    ) -> tuple[Any, Any, Held]:
        """Tokens ``i32[rows, ahead + 1]``, how many of them are said, and what is held then; only of active rows."""
        draft_key, *keys = jax.random.split(jax.random.fold_in(key, held.round), 3)
        ours, theirs = given
        proposed = self._propose(theirs, stages, held, draft_key, capacities[1])
        chunk = jnp.concatenate([held.last[None], proposed.tokens]).T
        target, place = held.target, held.target.place
        every = jnp.full_like(place, self.ahead + 1)
        logits, kept = self.target.read_each(ours, target.kept, chunk, *_alone(place, every), capacities[0])
        chances = jax.nn.softmax(jax.vmap(stages)(jnp.moveaxis(logits, 1, 0), proposed.carries), axis=-1)
        right, tokens = verified(chances, proposed.tokens, proposed.chances, keys)
        carries, own = proposed.carries, jnp.take_along_axis(tokens, right[None], axis=0)[0]
        behind = stages.advance(_of_rows(carries, right), own)
        count = jnp.where(active, jnp.minimum(right + 1, bounds.most - held.said), 0)
        ends = _over(stages, carries, behind, right, self.ahead + 1) | (bounds.eos == tokens.T)
        ends &= jnp.arange(self.ahead + 1) < count[:, None]
        ended = jnp.any(ends, axis=1)
        count = jnp.where(ended, jnp.argmax(ends, axis=1) + 1, count)
        kept = self._reread(ours, target.kept, kept, chunk, place, count, capacities[0])
        draft_kept = _as_after(self.draft, theirs, proposed, held.draft.kept, count)
        last = jnp.take_along_axis(tokens, jnp.maximum(count - 1, 0)[None], axis=0)[0]
        seen = jnp.stack([jnp.sum(active), self.ahead * jnp.sum(active), jnp.sum(jnp.minimum(right, count))])
        after = Held(
            target=Side(kept, place + count),
            draft=Side(draft_kept, held.draft.place + count),
            carry=jax.tree.map(partial(_where_row, count > right), behind, _of_rows(carries, count)),
            last=jnp.where(count > 0, last, held.last),
            said=held.said + count,
            ended=held.ended | ended,
            round=held.round + 1,
            counts=held.counts + seen,
        )
        return tokens.T, count, after

    def _propose(self, given: Given, stages: Stages, held: Held, key: Any, capacity: int) -> Proposals:
        """The draft reads the last token and all that it proposes, one at a time."""
        ones, placed = jnp.ones_like(held.last), self.draft.by_place(given)

        def step(state: Tree, key: Any) -> tuple[Tree, Tree]:
            kept, carry, token, place = state
            logits, kept = self.draft.read(given, kept, token[:, None], *_alone(place, ones), capacity)
            scores = stages(logits, carry)
            drawn = jax.random.categorical(key, scores, axis=-1).astype(jnp.int32)
            seen = (drawn, jax.nn.softmax(scores, axis=-1), carry, jax.tree.map(_unless_placed, placed, kept))
            return (kept, stages.advance(carry, drawn), drawn, place + 1), seen

        begin = (held.draft.kept, held.carry, held.last, held.draft.place)
        (kept, *_), seen = jax.lax.scan(step, begin, jax.random.split(key, self.ahead + 1))
        tokens, chances, carries, once = seen
        return Proposals(tokens[:-1], chances[:-1], carries, kept, once)

    def _reread(
        self, given: Given, before: Tree, after: Tree, chunk: Any, place: Any, count: Any, capacity: int
    ) -> Tree:
        """What the target keeps of the tokens that were said, where it has read others behind them.

        Places need not be put back. Where something else is kept, the chunk is read once more from what that was
        before, up to the last token that was said.
        """
        placed = self.target.by_place(given)
        if all(jax.tree.leaves(placed)):
            return after
        begin = jax.tree.map(_chosen, placed, after, before)
        _, after = self.target.read(given, begin, chunk, *_alone(place, jnp.maximum(count, 1)), capacity)
        return jax.tree.map(partial(_unless_none, count), placed, self.target.axes(given), after, before)


def verified(chances: Any, tokens: Any, proposed: Any, keys: Any) -> tuple[Any, Any]:
    """How many proposals of each row are accepted, ``i32[rows]``, and the tokens, ``i32[ahead + 1, rows]``.

    ``chances: f32[ahead + 1, rows, vocab]`` are the target's, ``proposed: f32[ahead, rows, vocab]`` the draft's that
    ``tokens: i32[ahead, rows]`` were drawn from. Behind the accepted ones comes a token of the target's own; those that
    would follow it say nothing.
    """
    ahead = len(tokens)
    ours, theirs = (jnp.take_along_axis(x[:ahead], tokens[..., None], -1)[..., 0] for x in (chances, proposed))
    accepted = jax.random.uniform(keys[0], ours.shape) * theirs < ours
    right = jnp.sum(jnp.cumprod(accepted, axis=0), axis=0)
    proposed = jnp.concatenate([proposed, jnp.zeros_like(chances[:1])])  # nothing was proposed behind the last
    p, q = (jnp.take_along_axis(x, right[None, :, None], axis=0)[0] for x in (chances, proposed))
    left = jnp.maximum(p - q, 0)
    left = jnp.where(jnp.sum(left, axis=-1, keepdims=True) > 0, left, p)  # p and q differ by rounding alone
    own = jax.random.categorical(keys[1], jnp.log(left), axis=-1).astype(jnp.int32)
    padded = jnp.concatenate([tokens, own[None]])
    return right, jnp.where(jnp.arange(ahead + 1)[:, None] < right, padded, own)


def _alone(place: Any, count: Any) -> tuple[Any, Any]:
    """Places and counts of rows; of a single row as numbers, which need no `vmap`."""
    return (place[0], count[0]) if len(place) == 1 else (place, count)


def _over(stages: Stages, carries: Carry, behind: Carry, right: Any, count: int) -> Any:
    """Of each of so many tokens that may be said whether stages let nothing follow it, ``bool[rows, count]``."""

    def over(carry: Carry) -> Any:
        return jnp.broadcast_to(stages.over(carry), right.shape)

    after = jnp.roll(jax.vmap(over, axis_size=count)(carries), -1, axis=0).T
    return jnp.where(jnp.arange(count) < right[:, None], after, over(behind)[:, None])


def _of_rows(carries: Carry, number: Any) -> Carry:
    """What stages remember of each row after so many of the proposals, at most all."""

    def of_rows(leaf: Any) -> Any:
        return _of_row(leaf, jnp.minimum(number, len(leaf) - 1), 0)

    return jax.tree.map(of_rows, carries)


def _where_row(which: Any, one: Any, other: Any) -> Any:
    return jnp.where(which.reshape(-1, *(1,) * (one.ndim - 1)), one, other)


def _as_after(draft: Rows, given: Given, proposed: Proposals, before: Tree, count: Any) -> Tree:
    """What the draft keeps when it has read so many tokens of each row."""

    def after(placed: bool, axis: int, kept: Any, once: Any, begun: Any) -> Any:
        return kept if placed else _of_row(jnp.concatenate([begun[None], once]), count, axis)

    return jax.tree.map(after, draft.by_place(given), draft.axes(given), proposed.kept, proposed.once, before)


def _of_row(leaf: Any, number: Any, axis: int) -> Any:
    """Of ``[n, …, rows, …]`` with the rows at ``axis`` behind the first dim, for each row that of its number."""
    if len(number) == 1:
        return leaf[number[0]]

    def pick(each: Any, at: Any) -> Any:
        return each[at]

    return jax.vmap(pick, (axis + 1, 0), axis)(leaf, number)


def _unless_placed(placed: bool, leaf: Any) -> Any:
    return jnp.zeros((), leaf.dtype) if placed else leaf


def _chosen(first: bool, one: Any, other: Any) -> Any:
    return one if first else other


def _unless_none(count: Any, placed: bool, axis: int, after: Any, before: Any) -> Any:
    """What is kept after so many tokens of each row; before, where there are none."""
    if placed:
        return after
    shape = [1] * after.ndim
    if len(count) > 1:
        shape[axis] = -1
    return jnp.where(jnp.reshape(count > 0, shape), after, before)
