"""Prompts read side by side, chunk by chunk, with room for what will follow them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rows import Given, Rows, compiled, power_of_two
from .trees import Tree
from .untyped import jnp

FIRST_CAPACITY = 256
"""Places that there is room for at first: fewer save little, and must soon grow."""


@dataclass
class Reading:
    """How far rows have been read: ``start``, a scalar or ``i32[rows]``, is the place that comes next.

    ``logits: f32[rows, vocab]`` are the scores of what stands there, ``reached`` is that place of the longest row, and
    there is room for ``capacity`` places, of which there will be ``most``.
    """

    rows: Rows
    given: Given
    kept: Tree
    logits: Any
    start: Any
    reached: int
    capacity: int
    most: int

    def make_room(self, places: int) -> None:
        """Lets what is kept grow, by a power of two, until it holds ``places``, or as many as will ever be needed."""
        needed = min(places, self.most)
        if needed > self.capacity:
            self.capacity = min(power_of_two(needed), self.most)
            self.kept = compiled(self.rows).grow(self.given, self.kept, self.logits.shape[0], self.capacity)


def read_prompts(
    rows: Rows,
    given: Given,
    texts: Sequence[Sequence[int]],
    *,
    follow: int,
    fixed: bool = False,
    whole: bool = False,
    beyond: int = 0,
) -> Reading:
    """Reads all prompts, which are not empty and not longer than the context.

    At most ``follow`` tokens will follow. There is room for all of them at once with ``whole``; ``fixed`` rows are
    always as long as the context. Where places are kept, there is room for ``beyond`` of them past the context, which
    are read in vain.
    """
    lengths = np.array([len(text) for text in texts], np.int32)
    longest = int(lengths.max())
    chunk = rows.chunk(longest)
    most = _most(rows, longest, follow, chunk, fixed, 0 if rows.slides else beyond)
    first = most if whole or fixed else max(FIRST_CAPACITY, power_of_two(-(-longest // chunk) * chunk + 1))
    capacity = min(first, most)
    functions = compiled(rows)
    kept = functions.begin(given, len(texts), capacity)
    logits: Any = None
    shared = bool((lengths == longest).all())
    for begin in range(0, longest, chunk):
        counts, start = np.clip(lengths - begin, 0, chunk), np.minimum(lengths, begin)
        tokens = jnp.asarray(_chunk(texts, begin, chunk))
        if shared:
            counts, start = counts[0], start[0]
        found, kept = functions.read(given, kept, tokens, jnp.asarray(start), jnp.asarray(counts), capacity=capacity)
        logits = found if logits is None else jnp.where(jnp.asarray(counts > 0)[..., None], found, logits)
    after = given.beside(jnp.asarray(longest if shared else lengths, jnp.int32))
    return Reading(rows, given, kept, logits, after, longest, capacity, most)


def _most(rows: Rows, longest: int, follow: int, chunk: int, fixed: bool, beyond: int) -> int:
    """All the places there will be, in whole chunks: the last token that is drawn need not be read."""
    wanted = _room(longest + follow - 1)
    if rows.context is not None:
        wanted = rows.context if fixed else min(wanted, rows.context + beyond)
    return -(-wanted // chunk) * chunk if not rows.slides else wanted


def _room(least: int) -> int:
    """A power of two, or a quarter, half or three quarters more of one: what has no places costs time all the same."""
    power = power_of_two(least)
    step = max(power // 8, 1)
    return power if power <= FIRST_CAPACITY else -(-least // step) * step


def _chunk(texts: Sequence[Sequence[int]], begin: int, chunk: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """A chunk of each text, ``i32[rows, chunk]``, filled up with zeros."""
    tokens = np.zeros((len(texts), chunk), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        part = text[begin : begin + chunk]
        row[: len(part)] = part
    return tokens
