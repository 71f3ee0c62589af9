"""Tokens drawn one after another: in bursts, each one call of a jitted loop with no Python between its tokens.

Where a program cannot read on past its context, the older half of what it has read is dropped, and the rest is read
once more. Sampling stages remember all of it nevertheless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .prompts import Reading, read_prompts
from .rows import Given, Rows
from .sample.stage import Carry
from .stages import Stages, begin
from .trees import Tree
from .untyped import jax, jnp
from .xla_options import without_fusion

BURST, LONGEST_BURST = 16, 256
"""Tokens that one call draws at first, and at most: as many come late where they are streamed."""

LATE = 0.1
"""Seconds by which tokens may be late: bursts get as long as is drawn in that time."""

ENDED = -1
"""What a row that has ended yields instead of a token."""

MEMORY = 1 << 16
"""Tokens after the prompt that a stage is given room to remember."""

Ids = np.ndarray[Any, np.dtype[np.int32]]


class Begun(NamedTuple):
    """A text in the middle: how many tokens were drawn, what stages remember, which rows have ended, and a key."""

    drawn: int
    carry: Carry
    ended: Any
    key: Any


def step_by_step(
    rows: Rows,
    given: Given,
    stages: Stages,
    prompts: Sequence[Sequence[int]],
    *,
    limit: int,
    seed: int,
    eos: int | None,
    fixed: bool = False,
    begun: Begun | None = None,
) -> Iterator[Ids]:
    """Yield ``i32[rows]``, one new token for each prompt, up to ``limit`` times or until every row has ended.

    With ``begun``, some of it was said before, and ``prompts`` end with that.
    """
    texts = [list(map(int, prompt)) for prompt in prompts]
    key, drawn = jax.random.key(seed), 0
    carry, ended = None, jnp.zeros(len(texts), bool)
    if begun is not None:
        drawn, carry, ended, key = begun
    keep = rows.context
    while True:
        texts = [text[-keep:] if keep is not None else text for text in texts]
        reading = read_prompts(rows, given, texts, follow=limit - drawn, fixed=fixed)
        if carry is None:
            whole = [list(map(int, prompt)) for prompt in prompts]
            stages = stages.within(limit)
            carry = begin(stages, whole, min(limit, MEMORY), reading.logits.shape[-1])
        room, pace = _room(reading), BURST
        while room is None or room > 0:
            count = min(pace, limit - drawn, pace if room is None else room)
            reading.make_room(reading.reached + count)
            began = perf_counter()
            tokens, carry, ended = _burst(reading, stages, carry, ended, key, drawn, count, eos)
            if count == pace:
                pace = _longer(pace, perf_counter() - began)
            over = (tokens == ENDED).all(axis=1)
            yield from tokens[: int(over.argmax()) if over.any() else count]
            if over.any():
                return
            for text, row in zip(texts, np.maximum(tokens.T, 0), strict=True):
                text.extend(row.tolist())
            drawn += count
            if drawn >= limit or bool(jnp.all(ended)):
                return
            room = None if room is None else room - count
        keep = max((rows.context or 0) // 2, 1)


def _longer(pace: int, seconds: float) -> int:
    """How many tokens the next burst has, after one of so many that took so long; never fewer."""
    in_time = int(pace * LATE / max(seconds, 1e-9))
    return min(max(pace, in_time), LONGEST_BURST)


def _room(reading: Reading) -> int | None:
    """How many tokens can be drawn before the context is full; None where it never is."""
    if reading.rows.slides or reading.rows.context is None:
        return None
    return reading.rows.context - reading.reached + 1


def _burst(
    reading: Reading, stages: Stages, carry: Carry, ended: Any, key: Any, drawn: int, count: int, eos: int | None
) -> tuple[Ids, Carry, Any]:
    """Draws ``count`` tokens, ``i32[count, rows]``, and reads them."""
    burst = _compiled_burst(reading.rows)
    kept, reading.kept = reading.kept, None
    held = (kept, *reading.given.beside((carry, reading.logits, reading.start, ended)))
    numbers = (drawn, count, ENDED if eos is None else eos)
    tokens, held = burst(reading.given, stages, held, key, numbers, capacity=reading.capacity)
    reading.kept, carry, reading.logits, reading.start, ended = held
    reading.reached += count
    return np.asarray(tokens)[:count], carry, ended


@lru_cache(maxsize=8)
def _compiled_burst(rows: Rows) -> Any:
    """The jitted loop over tokens, ``i32[LONGEST_BURST, rows]``; it stops early where every row has ended."""

    def burst(given: Given, stages: Stages, held: Tree, key: Any, numbers: Any, capacity: int) -> tuple[Any, Tree]:
        drawn, count, eos = numbers

        def step(state: Tree) -> Tree:
            number, tokens, (kept, carry, logits, start, ended) = state
            token, carry = stages.draw(logits, carry, jax.random.fold_in(key, drawn + number))
            tokens = tokens.at[number].set(jnp.where(ended, ENDED, token))
            ended = ended | (token == eos) | stages.over(carry)
            logits, kept = rows.read(given, kept, token[:, None], start, jnp.ones_like(start), capacity)
            return number + 1, tokens, (kept, carry, logits, start + 1, ended)

        def goes_on(state: Tree) -> Any:
            return (state[0] < count) & ~jnp.all(state[2][-1])

        tokens = jnp.full((LONGEST_BURST, held[-1].shape[0]), ENDED, jnp.int32)
        _, tokens, held = jax.lax.while_loop(goes_on, step, (0, tokens, held))
        return tokens, held

    return without_fusion(burst, static_argnames="capacity", donate_argnums=2)
