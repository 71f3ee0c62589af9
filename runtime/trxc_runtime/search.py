"""How a continuation is searched for, as a recipe's ``search = beam(4)`` names it."""

from __future__ import annotations

from dataclasses import dataclass

from .declared import Declared
from .sample.stage import require


@dataclass(frozen=True)
class Beam(Declared):
    """Beam search: of all continuations of the ``width`` best so far, the ``width`` best are kept.

    A hypothesis that has ended keeps its place; the others share the places that are left (so that a ``width`` of 1
    takes the likeliest token each time). Its score is its log probability over ``((5 + n) / 6) ** length_penalty`` for
    ``n`` new tokens (Wu et al. 2016). The ``hypotheses`` best are given.
    """

    width: int
    length_penalty: float = 0.0
    hypotheses: int = 1

    def __post_init__(self) -> None:
        require(self.width >= 1, f"beam needs a width of at least one: {self.width}")
        require(self.length_penalty >= 0, f"beam's length_penalty cannot be negative: {self.length_penalty}")
        found = f"beam of width {self.width} cannot give {self.hypotheses} hypotheses"
        require(1 <= self.hypotheses <= self.width, found)
