"""What is known of a value with respect to time, the dim along which a sequence is generated.

A function that is run on whole sequences is turned into one that is run on a *chunk* of places, from `start` on, and
keeps what later chunks need. Every value of the original is one of these:

- :class:`Fixed`: no place of the sequence plays a part in it. It is computed from weights alone (`computed` is false:
  each chunk may do so again), or from other inputs as well, as an encoder's memory is: then once, beforehand.
- :class:`Timed`: it has an axis of time, and its place *t* comes from places up to *t*. In a chunk it is a value with
  the chunk's places along that axis.
- :class:`Indexed`: numbers of places and what is computed from them alone: `iota(seq)`, a table of positions, a mask.
  It is computed for whichever places it is asked for: those of the chunk, or those of all that is kept.
- :class:`Prefix`: a timed value without its last `missing` places, as `x[:, :-1]`; what is put before it moves it on.
- :class:`Pairs`: it has two axes of time, as scores of queries and keys have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...ir import Op, Value
from ...source import Span

Role = Literal["query", "key"]
"""Whose places an axis of time has: the chunk's, or those of all that is kept."""


@dataclass(frozen=True)
class Fixed:
    """`value` is the original's."""

    value: Value
    computed: bool


@dataclass(frozen=True)
class Timed:
    """`value` is the chunk's."""

    value: Value
    axis: int


@dataclass(frozen=True)
class Indexed:
    """`op` is the original's that gives it, as its result number `index`; `axes` are those of time."""

    op: Op
    index: int
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Prefix:
    """All places of `whole` but the last `missing`."""

    whole: Timed
    missing: int


@dataclass(frozen=True)
class Pairs:
    """`value` has the chunk's places along `query`, and all that are kept along `key`; see :mod:`.pairs`.

    `hidden` is what it holds where the key is later than the query, None if that is not one known number.
    """

    value: Value
    query: int
    key: int
    hidden: float | None


Known: TypeAlias = "Fixed | Timed | Indexed | Prefix | Pairs"


class RefusedError(Exception):
    """A function cannot go along a sequence in chunks; `span` is where.

    `ahead`: a place depends on later ones, or on how many there are. Otherwise it is only not known how to do it.
    `help` is the mend, where there is one to tell.
    """

    def __init__(self, reason: str, span: Span | None, *, ahead: bool = False, help: str = "") -> None:
        super().__init__(reason)
        self.reason, self.span, self.ahead, self.help = reason, span, ahead, help
