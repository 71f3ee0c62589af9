"""Contrastive decoding: two models read the same tokens, and what the weaker one finds likely too counts for less."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from .errors import RunError
from .rows import CachedRows, Given, Rows, WholeRows
from .sample.stage import require
from .trees import Tree
from .untyped import jax, jnp

LEAST = -1e4
"""The least log probability that an amateur is taken at its word for: what it excludes would win by infinity."""


@dataclass(frozen=True)
class Contrast:
    """How far apart two models' scores are put, as O'Brien & Lewis (2023) state it.

    Of the tokens that the expert finds at least ``plausible`` times as likely as its likeliest, the scores are
    ``(1 + contrast) * log p_expert - contrast * log p_amateur``; the others are excluded. An infinite ``contrast``
    gives ``log p_expert - log p_amateur``, the score of Li et al. (2023).
    """

    contrast: float = 0.5
    plausible: float = 0.1

    def __post_init__(self) -> None:
        require(self.contrast >= 0, f"contrast is a number from 0 on: {self.contrast}")
        require(0 <= self.plausible <= 1, f"plausible is a share of the largest probability: {self.plausible}")

    def __call__(self, expert: Any, amateur: Any) -> Any:
        """Scores of the same shape as both models' logits, ``[…, vocab]``."""
        ours, theirs = (jax.nn.log_softmax(logits, axis=-1) for logits in (expert, amateur))
        theirs = jnp.maximum(theirs, LEAST)
        least = jnp.max(ours, axis=-1, keepdims=True) + (math.log(self.plausible) if self.plausible else -math.inf)
        scores = ours - theirs
        if math.isfinite(self.contrast):
            scores = ours + self.contrast * scores
        return jnp.where((ours >= least) & (ours > -jnp.inf), scores, -jnp.inf)


@dataclass(frozen=True)
class ContrastRows(Rows):
    """Two programs that read the same rows, as one whose scores are their contrast; what is kept is a pair.

    Parameters and states are pairs as well, and the further inputs are those of both. Both keep what they have read, or
    both read the whole sequence anew: what is past the context must be forgotten in one way.
    """

    expert: Rows
    amateur: Rows
    scores: Contrast

    def begin(self, given: Given, rows: int, capacity: int) -> Tree:
        """What both begin with."""
        ours, theirs = _apart(given)
        return self.expert.begin(ours, rows, capacity), self.amateur.begin(theirs, rows, capacity)

    def read(self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int) -> tuple[Any, Tree]:
        """By both."""
        ours, theirs = _apart(given)
        expert, expert_kept = self.expert.read(ours, kept[0], tokens, start, count, capacity)
        amateur, amateur_kept = self.amateur.read(theirs, kept[1], tokens, start, count, capacity)
        return self.scores(expert, amateur), (expert_kept, amateur_kept)

    def read_each(
        self, given: Given, kept: Tree, tokens: Any, start: Any, count: Any, capacity: int
    ) -> tuple[Any, Tree]:
        """By both."""
        ours, theirs = _apart(given)
        expert, expert_kept = self.expert.read_each(ours, kept[0], tokens, start, count, capacity)
        amateur, amateur_kept = self.amateur.read_each(theirs, kept[1], tokens, start, count, capacity)
        return self.scores(expert, amateur), (expert_kept, amateur_kept)

    def chunk(self, longest: int) -> int:
        """The fewer of both."""
        return min(self.expert.chunk(longest), self.amateur.chunk(longest))

    @property
    def slides(self) -> bool:
        """As both do."""
        return self.expert.slides

    def axes(self, given: Given) -> Tree:
        """Those of both."""
        ours, theirs = _apart(given)
        return self.expert.axes(ours), self.amateur.axes(theirs)

    def entries(self, given: Given) -> Tree:
        """Those of both."""
        ours, theirs = _apart(given)
        return self.expert.entries(ours), self.amateur.entries(theirs)

    def by_place(self, given: Given) -> Tree:
        """As of both."""
        ours, theirs = _apart(given)
        return self.expert.by_place(ours), self.amateur.by_place(theirs)


def contrasted(expert: Rows, amateur: Rows, scores: Contrast) -> ContrastRows:
    """Two programs as one, which reads no further than the one with the shorter context."""
    contexts = [rows.context for rows in (expert, amateur) if rows.context is not None]
    context = min(contexts, default=None)
    if not (isinstance(expert, CachedRows) and isinstance(amateur, CachedRows)):
        expert, amateur = (WholeRows(r.program, r.prompt, r.logits, r.context) for r in (expert, amateur))
    expert, amateur = (replace(rows, context=context) for rows in (expert, amateur))
    return ContrastRows(expert.program, expert.prompt, expert.logits, context, expert, amateur, scores)


def paired(expert: Given, amateur: Given) -> Given:
    """What both models are given, as one; further inputs of the amateur are the expert's."""
    return Given((expert.params, amateur.params), (expert.state, amateur.state), expert.inputs)


def one_length(lengths: tuple[int | None, int | None], contexts: tuple[int | None, int | None]) -> bool:
    """Whether one of the two is read at one length only, and so both; raises :class:`RunError` if one cannot be.

    ``lengths`` are those that the models are declared with, None where they read any.
    """
    longest = max((length for length in lengths if length is not None), default=None)
    shortest = min((context for context in contexts if context is not None), default=None)
    if longest is not None and shortest is not None and shortest < longest:
        raise RunError(
            f"one of the two models reads {longest} places and always as many, and the other {shortest} at most",
            hints=("models that are contrasted read the same places",),
        )
    return longest is not None


def _apart(given: Given) -> tuple[Given, Given]:
    (ours, theirs), (our_state, their_state) = given.params, given.state
    return Given(ours, our_state, given.inputs), Given(theirs, their_state, given.inputs)
