"""The decoding loop on ids: by the program's own `decode` where it has one (:mod:`.stepping`).

Otherwise a jitted step of fixed shape computes the whole sequence for each new token. For causal models: what stands
to the right of a position does not change its logits, so that one buffer serves every length. Where the buffer is as
long as the model can read, the window slides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from .errors import RunError
from .sample import Stage, draw
from .stepping import ENDED, Stepper, chunk_length, step_by_step
from .trees import Tree
from .untyped import jax, jnp

PAD = 0


@dataclass(frozen=True)
class Decoder:
    """How a model continues a sequence: which input is the prompt, which output holds the next token's logits.

    ``context`` is the longest sequence that the model reads, None where there is no bound. ``fixed`` says that it
    reads that length only.
    """

    program: ModuleType
    prompt: str
    logits: str
    stages: tuple[Stage, ...] = ()
    context: int | None = None
    fixed: bool = False

    def length(self, longest: int, limit: int) -> int:
        """The buffer's length: a power of two that holds everything, or the model's context."""
        wanted = 1 << (max(longest + limit - 1, 1) - 1).bit_length()
        if self.context is None:
            return wanted
        return self.context if self.fixed else min(wanted, self.context)

    def step(
        self, params: Tree, state: Tree, constants: Mapping[str, Any], buffer: Any, lengths: Any, key: Any
    ) -> tuple[Any, Any, Any]:
        """Draw one token a row: of ``i32[rows, length]`` and ``i32[rows]``, the new ones, and tokens ``i32[rows]``."""
        outputs = self.program.apply(params, state, {**constants, self.prompt: buffer})
        rows = jnp.arange(buffer.shape[0])
        token = draw(outputs[self.logits][rows, lengths - 1], self.stages, key)
        full = lengths == buffer.shape[1]
        buffer = jnp.where(full[:, None], jnp.roll(buffer, -1, axis=1), buffer)
        at = jnp.where(full, buffer.shape[1] - 1, lengths)
        return buffer.at[rows, at].set(token.astype(buffer.dtype)), at + 1, token


def decode(
    decoder: Decoder,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    *,
    limit: int,
    seed: int = 0,
    eos: int | None = None,
    constants: Mapping[str, Any] | None = None,
) -> Iterator[np.ndarray[Any, np.dtype[np.int32]]]:
    """Yield ``i32[rows]``, one new token for each of the prompts, up to ``limit`` times or until every row has ended.

    A row has ended after ``eos``; from then on it yields :data:`ENDED`. ``constants`` are the model's other inputs,
    with one row a prompt. Raises :class:`RunError` for an empty prompt.
    """
    if not all(len(prompt) for prompt in prompts):
        raise RunError("the prompt is empty", hints=("give at least one token to start from",))
    if hasattr(decoder.program, "decode") and not decoder.fixed:
        yield from _stepped(decoder, params, state, prompts, limit, seed, eos, constants or {})
        return
    length = decoder.length(max(map(len, prompts)), limit)
    buffer, lengths = _fill(prompts, length)
    key = jax.random.key(seed)
    step = _compiled(decoder)
    ended = np.zeros(len(prompts), bool)
    for index in range(limit):
        buffer, lengths, token = step(params, state, constants or {}, buffer, lengths, jax.random.fold_in(key, index))
        tokens = np.array(token)
        yield np.where(ended, ENDED, tokens)
        ended |= tokens == eos if eos is not None else False
        if ended.all():
            return


def _stepped(
    decoder: Decoder,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    limit: int,
    seed: int,
    eos: int | None,
    constants: Mapping[str, Any],
) -> Iterator[np.ndarray[Any, np.dtype[np.int32]]]:
    """The same by the program's own `decode`."""
    ragged = len({len(prompt) for prompt in prompts}) > 1
    longest = max(map(len, prompts))
    chunk = chunk_length(longest if decoder.context is None else min(longest, decoder.context))
    capacity = -(-decoder.length(longest, limit) // chunk) * chunk
    stepper = Stepper(decoder.program, decoder.prompt, decoder.logits, decoder.stages, eos, capacity, ragged)
    return step_by_step(
        stepper, params, state, prompts, limit=limit, seed=seed, constants=constants, context=decoder.context
    )


@lru_cache(maxsize=8)
def _compiled(decoder: Decoder) -> Any:
    """One jitted function a decoder, so that a second generation does not compile again."""
    return jax.jit(decoder.step)


def _fill(prompts: Sequence[Sequence[int]], length: int) -> tuple[Any, Any]:
    """Prompts side by side, ``i32[rows, length]``, the last ``length`` tokens of each, and how many there are."""
    buffer = np.full((len(prompts), length), PAD, np.int32)
    kept = [np.asarray(prompt, np.int32)[-length:] for prompt in prompts]
    for row, tokens in enumerate(kept):
        buffer[row, : len(tokens)] = tokens
    return jnp.asarray(buffer), jnp.asarray([len(tokens) for tokens in kept], jnp.int32)
