"""The decoding loop by the program's own `decode`: what earlier places are needed for is kept, not computed anew.

A prompt is read in chunks; then tokens are drawn in bursts, each one call of a jitted loop with no Python between its
tokens. Prompts of one length share a position; those of different lengths have one a row, and each row is a program of
its own under `vmap`. Where a model can read no further, the older half of what it has read is dropped, and the rest is
read once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from .sample import Stage, draw
from .trees import Tree
from .untyped import jax, jnp

CHUNK = 256
"""Places of a prompt that are read at once."""

BURST = 16
"""Tokens that one call draws: as many come late where they are streamed."""

ENDED = -1
"""What a row that has ended yields instead of a token."""

Ids = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Stepper:
    """One model at work: ``ragged`` rows have a position each, others share one."""

    program: ModuleType
    prompt: str
    logits: str
    stages: tuple[Stage, ...]
    eos: int | None
    capacity: int
    ragged: bool

    def begin(self, params: Tree, state: Tree, constants: Mapping[str, Any], rows: int) -> Tree:
        """What is kept before anything was read; of ragged rows, each leaf has the rows first."""
        first = jnp.zeros((rows, 1), jnp.int32)
        if not self.ragged:
            return self.program.prepare(params, state, {**constants, self.prompt: first}, self.capacity)

        def row(inputs: Mapping[str, Any]) -> Tree:
            alone = {name: value[None] for name, value in inputs.items()}
            return self.program.prepare(params, state, alone, self.capacity)

        return jax.vmap(row)({**{name: jnp.asarray(value) for name, value in constants.items()}, self.prompt: first})

    def read(self, params: Tree, kept: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
        """Reads ``count`` tokens of ``i32[rows, chunk]`` from ``start`` on: the logits after them, and what is kept."""
        if not self.ragged:
            logits, kept = self._chunk(params, kept, tokens, start, count)
            return logits, kept

        def row(kept: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
            logits, kept = self._chunk(params, kept, tokens[None], start, count)
            return logits[0], kept

        return jax.vmap(row)(kept, tokens, start, count)

    def _chunk(self, params: Tree, kept: Tree, tokens: Any, start: Any, count: Any) -> tuple[Any, Tree]:
        places = {"start": start, "count": count, "slots": jnp.arange(self.capacity, dtype=jnp.int32)}
        outputs, kept = self.program.decode(params, kept, {self.prompt: tokens, **places})
        logits = jax.lax.dynamic_index_in_dim(outputs[self.logits], count - 1, axis=1, keepdims=False)
        return logits.astype(jnp.float32), kept

    def burst(
        self, params: Tree, kept: Tree, logits: Any, start: Any, ended: Any, key: Any, first: Any
    ) -> tuple[Any, Tree, Any, Any, Any]:
        """Draws :data:`BURST` tokens, ``i32[BURST, rows]``, each read before the next is drawn."""
        one = jnp.ones_like(start)

        def step(held: Any, number: Any) -> tuple[Any, Any]:
            kept, logits, start, ended = held
            token = draw(logits, self.stages, jax.random.fold_in(key, first + number)).astype(jnp.int32)
            given = jnp.where(ended, ENDED, token)
            ended = ended if self.eos is None else ended | (token == self.eos)
            logits, kept = self.read(params, kept, token[:, None], start, one)
            return (kept, logits, start + 1, ended), given

        held, tokens = jax.lax.scan(step, (kept, logits, start, ended), jnp.arange(BURST))
        return (tokens, *held)


def step_by_step(
    stepper: Stepper,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    *,
    limit: int,
    seed: int,
    constants: Mapping[str, Any],
    context: int | None,
) -> Iterator[Ids]:
    """Yield ``i32[rows]``, one new token for each prompt, up to ``limit`` times or until every row has ended."""
    begin, read, burst = _compiled(stepper)
    texts = [list(map(int, prompt)) for prompt in prompts]
    ended, key, drawn = jnp.zeros(len(texts), bool), jax.random.key(seed), 0
    while True:
        kept = begin(params, state, constants, len(texts))
        logits, kept, start = _read_prompts(stepper, read, params, kept, texts, context)
        room = BURST
        while room == BURST:
            longest = int(jnp.max(start))
            room = BURST if context is None else min(BURST, context - longest + 1)
            tokens, kept, logits, start, ended = burst(params, kept, logits, start, ended, key, drawn)
            for row in np.asarray(tokens)[: min(room, limit - drawn)]:
                if (row == ENDED).all():
                    return
                yield row
                drawn += 1
                for text, token in zip(texts, row, strict=True):
                    text.append(max(int(token), 0))
            if drawn >= limit or bool(jnp.all(ended)):
                return
        keep = max(context // 2, 1) if context is not None else 0
        texts = [text[-keep:] for text in texts]


def _read_prompts(
    stepper: Stepper, read: Any, params: Tree, kept: Tree, texts: Sequence[Sequence[int]], context: int | None
) -> tuple[Any, Tree, Any]:
    """Reads all prompts, chunk by chunk: the logits after each, what is kept, and where each goes on."""
    rows = [list(text)[-context:] if context is not None else list(text) for text in texts]
    lengths = np.array([len(row) for row in rows], np.int32)
    logits: Any = None
    chunk = chunk_length(int(lengths.max()))
    for begin in range(0, int(lengths.max()), chunk):
        padded = np.zeros((len(rows), chunk), np.int32)
        for at, row in enumerate(rows):
            part = row[begin : begin + chunk]
            padded[at, : len(part)] = part
        counts = np.clip(lengths - begin, 0, chunk)
        start = np.minimum(lengths, begin).astype(np.int32)
        if not stepper.ragged:
            counts, start = counts[0], start[0]
        found, kept = read(params, kept, jnp.asarray(padded), jnp.asarray(start), jnp.asarray(counts))
        logits = found if logits is None else jnp.where(jnp.asarray(counts > 0)[..., None], found, logits)
    return logits, kept, jnp.asarray(lengths if stepper.ragged else lengths[0])


def chunk_length(longest: int) -> int:
    """How many places prompts of at most this length are read at once; what is kept has room for whole chunks."""
    return min(CHUNK, 1 << (max(longest, 1) - 1).bit_length())


@lru_cache(maxsize=8)
def _compiled(stepper: Stepper) -> tuple[Any, Any, Any]:
    """Jitted functions of a stepper, so that a second generation does not compile again; what is kept is donated."""
    begin = jax.jit(stepper.begin, static_argnums=3)
    return begin, jax.jit(stepper.read, donate_argnums=1), jax.jit(stepper.burst, donate_argnums=1)
