"""What random causal models are made of: layers, and ways to break each so that it looks ahead."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

EMBED = 8
"""The features of every layer's input and output."""


@dataclass(frozen=True)
class Break:
    """A change that makes a layer look ahead: the kind, and what is put for what.

    `within` begins the line of a library's layer that is complained about where the change only says how it is used.
    """

    kind: str
    old: str
    new: str
    within: str = ""


@dataclass
class Layer:
    """A layer: its definition, if it is the program's own, what is written to apply it, and what it needs.

    `uses` are names of `std.attention`; `shortest` is the shortest sequence that it takes; `source` says whether it
    looks at an encoder's side, `beyond` whether decoding it is more than can be asked for today.
    """

    kind: str
    applied: str
    text: str = ""
    uses: tuple[str, ...] = ()
    breaks: list[Break] = field(default_factory=list[Break])
    shortest: int = 1
    source: bool = False
    beyond: bool = False


Make = Callable[[random.Random, str], Layer]
"""Of a source of choices and a name that is not taken."""


def own_layer(name: str, lines: list[str]) -> str:
    """The definition of a layer by the lines of its body."""
    return f"layer {name} {{\n  input x: float[batch, seq, embed]\n  " + "\n  ".join(lines) + "\n}\n"
