"""Stages that exclude tokens: always, or where they would say again what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from jax import Array

from ..errors import RunError
from ..untyped import jnp
from .stage import Carry, Setting, Stage, require


@dataclass(frozen=True)
class Forbid(Stage):
    """Never draws these tokens: ids, or texts that are one token each."""

    excludes: ClassVar[bool] = True
    tokens: Sequence[int | str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))

    def bind(self, setting: Setting) -> Stage:
        ids = tuple(sorted({_id(token, setting) for token in self.tokens}))
        require(len(ids) < setting.vocab, f"`forbid` leaves none of the {setting.vocab} tokens")
        return replace(self, tokens=ids)

    def __call__(self, logits: Array, carry: Carry) -> Array:
        if not self.tokens:
            return logits
        return logits.at[:, jnp.asarray(self.tokens, jnp.int32)].set(-jnp.inf)


def _id(token: int | str, setting: Setting) -> int:
    """The id of a token that is named by itself or by its text; raises :class:`RunError`."""
    if isinstance(token, int):
        inside = 0 <= token < setting.vocab
        require(inside, f"`forbid` names token {token}, and there are those from 0 to {setting.vocab - 1}")
        return token
    if setting.tokenizer is None:
        raise RunError(f"`forbid` cannot know {token!r}: this recipe has no tokenizer", hints=("give its id",))
    ids = [int(part) for part in setting.tokenizer.encode(token)]
    if len(ids) != 1:
        raise RunError(
            f"`forbid` takes texts of one token, and {token!r} is {len(ids) or 'none'}",
            hints=(f"its tokens are {ids}; forbidding one of them forbids it in other texts, too",) if ids else (),
        )
    return _id(ids[0], setting)


@dataclass(frozen=True)
class NoRepeatNgram(Stage):
    """Never says ``n`` tokens in a row that stand in a row already, in the prompt or since (Paulus et al. 2018).

    Where this would leave no token, it leaves all.
    """

    excludes: ClassVar[bool] = True
    n: int

    def __post_init__(self) -> None:
        require(self.n >= 1, f"no_repeat_ngram needs at least one token: {self.n}")

    def begin(self, prompts: Array, lengths: Array, vocab: int) -> Carry:
        return {"said": prompts, "length": lengths}

    def __call__(self, logits: Array, carry: Carry) -> Array:
        said, length = carry["said"], carry["length"]
        places = jnp.arange(said.shape[1])
        again = jnp.broadcast_to(places < length[:, None], said.shape) & (places >= self.n - 1)
        for back in range(1, self.n):
            last = jnp.take_along_axis(said, jnp.maximum(length - back, 0)[:, None], axis=1)
            again &= jnp.roll(said, back, axis=1) == last
        rows = jnp.arange(said.shape[0])[:, None]
        excluded = jnp.zeros(logits.shape, bool).at[rows, said].max(again, mode="drop")
        kept = jnp.where(excluded, -jnp.inf, logits)
        return jnp.where(jnp.any(kept > -jnp.inf, axis=-1, keepdims=True), kept, logits)

    def advance(self, carry: Carry, tokens: Array) -> Carry:
        said, length = carry["said"], carry["length"]
        said = jnp.where(jnp.arange(said.shape[1]) == length[:, None], tokens[:, None], said)
        return {"said": said, "length": length + 1}
