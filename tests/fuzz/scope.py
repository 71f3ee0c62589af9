"""What a generated body knows while it is being written: its values with their types, and the lines so far."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

SIZES = {"batch": 3, "seq": 5}
"""What a model's symbols stand for when it is run."""


@dataclass(frozen=True)
class Size:
    """`times * symbol + plus`, or an int where there is no symbol."""

    plus: int
    symbol: str = ""
    times: int = 1

    def __str__(self) -> str:
        if not self.symbol:
            return str(self.plus)
        product = self.symbol if self.times == 1 else f"{self.times} * {self.symbol}"
        return product if self.plus == 0 else f"{product} {'+' if self.plus > 0 else '-'} {abs(self.plus)}"

    @property
    def known(self) -> int:
        """The int; 0 for a symbolic size."""
        return 0 if self.symbol else self.plus

    def scaled(self, factor: int) -> Size:
        """So many times the size."""
        return Size(self.plus * factor, self.symbol, self.times * factor)

    def plus_size(self, other: Size) -> Size | None:
        """The sum, where it is of this form."""
        if self.symbol and other.symbol and self.symbol != other.symbol:
            return None
        times = (self.times if self.symbol else 0) + (other.times if other.symbol else 0)
        return Size(self.plus + other.plus, self.symbol or other.symbol, times or 1)

    def number(self) -> int:
        """The size when the program is run; symbols of layers count as 4."""
        return self.plus + (self.times * SIZES.get(self.symbol, 4) if self.symbol else 0)


Dims = tuple[Size, ...]


@dataclass(frozen=True)
class Val:
    """A value of the program: `kind` is float, int or bool; `reach` bounds what it is likely to be, roughly."""

    name: str
    kind: str
    dims: Dims
    reach: float = 3.0
    exact: bool = False

    @property
    def rank(self) -> int:
        """How many dims."""
        return len(self.dims)

    @property
    def count(self) -> int:
        """How many elements when the program is run."""
        product = 1
        for size in self.dims:
            product *= size.number()
        return product


def known(*sizes: int) -> Dims:
    """Dims that are ints."""
    return tuple(Size(size) for size in sizes)


MAX_ELEMENTS = 1500
MAX_REACH = 60.0


@dataclass
class Body:
    """The body of a model or layer being written."""

    rng: random.Random
    lines: list[str] = field(default_factory=list[str])
    values: list[Val] = field(default_factory=list[Val])
    layers: dict[str, Callable[[Body, Val], Val | None]] = field(default_factory=dict)
    preserving: list[str] = field(default_factory=list[str])
    weights: bool = True
    smooth: bool = False
    said: list[tuple[str, Val]] = field(default_factory=list[tuple[str, Val]])
    number: int = 0

    def name(self, stem: str = "v") -> str:
        """A name that is not taken."""
        self.number += 1
        return f"{stem}{self.number}"

    def pick(self, wanted: Callable[[Val], bool] = lambda value: True) -> Val | None:
        """A value that fits, the later ones more likely."""
        fitting = [value for value in self.values if wanted(value)]
        return fitting[int(len(fitting) * self.rng.random() ** 0.6)] if fitting else None

    def floats(self, *, rank: int = 0) -> Val | None:
        """A float value of at least this rank."""
        return self.pick(lambda value: value.kind == "float" and value.rank >= rank)

    def say(self, expression: str, like: Val, *, pure: bool = True, **changes: object) -> Val | None:
        """`name = expression`, with the type of `like` but for changes. What is too large is not written."""
        made = replace(like, name=self.name(), **changes)  # pyright: ignore[reportArgumentType] the callers' own
        if made.count > MAX_ELEMENTS or made.rank > 5:
            return None
        if made.kind == "float" and made.reach > MAX_REACH:
            expression, made = f"tanh(0.1 * ({expression}))", replace(made, reach=1.0)
        self.lines.append(f"{made.name} = {expression}")
        self.values.append(made)
        if pure:
            self.said.append((expression, made))
        return made

    def param(self, dims: Sequence[Size], init: str = "normal(0.5)") -> Val:
        """A weight of the body."""
        name = self.name("w")
        self.lines.append(f"param {name}: float[{', '.join(map(str, dims))}] = {init}")
        return Val(name, "float", tuple(dims), 2.0)

    def number_text(self) -> str:
        """A float that ties with nothing."""
        return f"{self.rng.choice([-1, 1]) * self.rng.uniform(0.1, 1.9):.3f}"
