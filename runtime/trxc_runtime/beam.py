"""Beam search: the whole loop under one jit, batched over prompts; see :class:`.search.Beam` for what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from .prompts import read_prompts
from .rows import Given, Rows, power_of_two
from .sample.stage import Carry
from .search import Beam
from .stages import Stages, begin
from .trees import Tree
from .untyped import jax, jnp
from .xla_options import without_fusion

UNUSED = -1
"""What stands in a hypothesis' places after its end."""


@dataclass(frozen=True)
class Continuation:
    """A continuation: its tokens, eos included where it ended so, and its score, higher the better."""

    tokens: list[int]
    score: float


def best_hypotheses(
    rows: Rows,
    given: Given,
    prompts: Sequence[Sequence[int]],
    beam: Beam,
    stages: Stages | None = None,
    *,
    limit: int,
    eos: int | None,
    fixed: bool = False,
) -> list[list[Continuation]]:
    """For each prompt the best continuations, the best first: fewer than ``beam.hypotheses`` where there are no more.

    A hypothesis ends with ``eos``, after ``limit`` tokens, or where the model can read no further; a prompt that leaves
    too little room for ``limit`` tokens loses its beginning, up to half of the context.

    What ``stages`` exclude is in none of them; scores are the model's own, and nothing else of a stage counts.
    """
    whole = texts = [list(map(int, prompt)) for prompt in prompts]
    if rows.context is not None:
        kept = max(rows.context + 1 - limit, rows.context // 2, 1)
        texts = [text[-kept:] for text in texts]
        limit = limit if rows.slides else min(limit, rows.context + 1 - max(map(len, texts)))
    reading = read_prompts(rows, given, texts, follow=limit, fixed=fixed, whole=True)
    loop = _compiled(rows, beam.width, beam.hypotheses, power_of_two(limit), reading.capacity)
    ends = _Ends(limit, UNUSED if eos is None else eos, beam.length_penalty)
    stages = (stages or Stages()).within(limit)
    carry = begin(stages, whole, limit, reading.logits.shape[-1])
    found = loop(given, stages, (reading.kept, carry), reading.logits, reading.start, ends)
    tokens, lengths, scores = map(np.asarray, found)
    return [
        [
            Continuation(row[:length].tolist(), float(score))
            for row, length, score in zip(*each, strict=True)
            if score > -np.inf
        ]
        for each in zip(tokens, lengths, scores, strict=True)
    ]


class _Ends(NamedTuple):
    """When a hypothesis ends, and what its length costs."""

    limit: Any
    eos: Any
    penalty: Any

    def normalised(self, scores: Any, lengths: Any) -> Any:
        """Sums of log probabilities, over the length penalty."""
        return scores / ((5 + jnp.maximum(lengths, 1)) / 6) ** self.penalty


class _Beams(NamedTuple):
    """The beams of each prompt, ``[prompts, width]``; tokens ``[…, room]``, logits and what is kept by rows.

    ``scores`` are sums of log probabilities: -inf for a beam that stands for nothing.
    """

    step: Any
    tokens: Any
    lengths: Any
    scores: Any
    ended: Any
    logits: Any
    kept: Tree
    carry: Carry


@lru_cache(maxsize=8)
def _compiled(rows: Rows, width: int, hypotheses: int, room: int, capacity: int) -> Any:
    """The jitted loop; hypotheses have ``room`` tokens at most."""
    return without_fusion(_Search(rows, width, hypotheses, room, capacity))


@dataclass(frozen=True)
class _Search:
    rows: Rows
    width: int
    hypotheses: int
    room: int
    capacity: int

    def __call__(
        self, given: Given, stages: Stages, held: tuple[Tree, Carry], logits: Any, start: Any, ends: _Ends
    ) -> tuple[Any, Any, Any]:
        """Tokens ``i32[prompts, hypotheses, room]``, how many, and scores, both ``[prompts, hypotheses]``."""
        width, (kept, carry) = self.width, held
        given = given._replace(inputs=_repeat(given.inputs, width))
        start = jnp.repeat(start, width) if jnp.ndim(start) else start

        def step(beams: _Beams) -> _Beams:
            beams, parents, token = self._choose(beams, stages, ends.eos)
            kept = self.rows.take(given, beams.kept, parents)
            place = start + beams.step
            logits, kept = self.rows.read(given, kept, token, place, jnp.ones_like(place), self.capacity)
            return beams._replace(step=beams.step + 1, logits=logits, kept=kept)

        def goes_on(beams: _Beams) -> Any:
            return (beams.step < ends.limit) & jnp.any(self._open(beams, ends))

        kept = self.rows.take(given, kept, jnp.repeat(jnp.arange(logits.shape[0]), width))
        beams = jax.lax.while_loop(goes_on, step, self._begin(kept, logits, carry))
        scores, best = jax.lax.top_k(ends.normalised(beams.scores, beams.lengths), self.hypotheses)
        tokens = jnp.take_along_axis(beams.tokens, best[..., None], axis=1)
        return tokens, jnp.take_along_axis(beams.lengths, best, axis=1), scores

    def _begin(self, kept: Tree, logits: Any, carry: Carry) -> _Beams:
        """One beam a prompt stands for its empty continuation, the others for nothing; of these, all is kept."""
        width, shape = self.width, (logits.shape[0], self.width)
        scores = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf) + jnp.zeros(shape, jnp.float32)
        tokens = jnp.full((*shape, self.room), UNUSED, jnp.int32)
        lengths, ended = jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool)
        logits, carry = _repeat(logits, width), _repeat(carry, width)
        return _Beams(jnp.int32(0), tokens, lengths, scores, ended, logits, kept, carry)

    def _choose(self, beams: _Beams, stages: Stages, eos: Any) -> tuple[_Beams, Any, Any]:
        """The next beams, the rows that they continue, and the tokens that they do it with, ``i32[rows, 1]``.

        Beams that have ended stay where they are; the best continuations of the others take the other places.
        """
        prompts, width = beams.scores.shape
        vocab = beams.logits.shape[-1]
        log_probs = jnp.where(
            stages(beams.logits, beams.carry) > -jnp.inf, jax.nn.log_softmax(beams.logits, axis=-1), -jnp.inf
        ).reshape(prompts, width, vocab)
        live = jnp.where(beams.ended, -jnp.inf, beams.scores)
        scores, found = jax.lax.top_k((live[..., None] + log_probs).reshape(prompts, width * vocab), width)
        place = jnp.maximum(jnp.cumsum(~beams.ended, axis=1) - 1, 0)
        scores, found = (jnp.take_along_axis(x, place, axis=1) for x in (scores, found))
        parent = jnp.where(beams.ended, jnp.arange(width), found // vocab)
        token = jnp.where(beams.ended, UNUSED, found % vocab)
        tokens = jnp.take_along_axis(beams.tokens, parent[..., None], axis=1).at[:, :, beams.step].set(token)
        scores = jnp.where(beams.ended, beams.scores, scores)
        rows, said = (jnp.arange(prompts)[:, None] * width + parent).reshape(-1), jnp.maximum(token, 0).reshape(-1)
        carry = stages.advance(jax.tree.map(partial(jnp.take, indices=rows, axis=0), beams.carry), said)
        over = jnp.reshape(jnp.broadcast_to(stages.over(carry), rows.shape), parent.shape)
        beams = beams._replace(
            tokens=tokens,
            lengths=jnp.where(beams.ended, beams.lengths, beams.step + 1),
            scores=scores,
            ended=beams.ended | (((token == eos) | over) & (scores > -jnp.inf)),
            carry=carry,
        )
        return beams, rows, said[:, None]

    def _open(self, beams: _Beams, ends: _Ends) -> Any:
        """Of each prompt whether a beam that goes on could still be among the best in the end."""
        ended = jnp.where(beams.ended, ends.normalised(beams.scores, beams.lengths), -jnp.inf)
        least = jax.lax.top_k(ended, self.hypotheses)[0][:, -1]
        live = jnp.max(jnp.where(beams.ended, -jnp.inf, beams.scores), axis=1)
        return ends.normalised(live, ends.limit) > least


def _repeat(tree: Tree, times: int) -> Tree:
    """Each row ``times`` times, one after another."""

    def repeat(leaf: Any) -> Any:
        return jnp.repeat(leaf, times, axis=0)

    return jax.tree.map(repeat, tree)
