"""The names in a Python function that is being written, and what an op may ask of it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..dims import Dim
from ..ir import Function, Module, Path
from ..ir.parameters import storage_key
from ..types import DType
from .dtypes import dtype_name
from .expressions import flat, literal, parse
from .lines import Line
from .names import python_name
from .needs import ModuleNeeds
from .pending import Pending
from .prelude import PRELUDE
from .sizes import size_text
from .state import StateView
from .uses import Uses

FOREVER = float("inf")

_INDEXED = re.compile(r"(.*)\[(\d+)\]")


@dataclass(eq=False)
class ProgramContext:
    """What the functions of one program share. `sizes` are the symbols that a function takes by keyword."""

    module: Module
    needs: ModuleNeeds
    reserved: frozenset[str]
    functions: dict[str, str]
    symbols: dict[str, str]
    sizes: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    prelude: set[str] = field(default_factory=set[str])

    def use(self, name: str) -> str:
        """Asks for a function of the prelude."""
        if name not in PRELUDE:
            raise KeyError(name)
        self.prelude.add(name)
        return name

    def key_at(self, key: ast.expr, path: Path) -> ast.expr:
        """The key of what stands at a path: its names folded in, and after each numbered one its number."""
        return self.folded(key, fold_steps(path))

    def folded(self, key: ast.expr, steps: Sequence[str | int]) -> ast.expr:
        """A key with names and numbers folded in, one after the other."""
        for step in steps:
            text = f"jax.random.fold_in({flat(key)}, {step})" if isinstance(step, int) else ""
            key = parse(text or f"{self.use('fold')}({flat(key)}, {literal(step)})")
        return key


def fold_steps(path: Path) -> list[str | int]:
    """What is folded into the key of what stands at a path: names, joined up to each number, and the numbers."""
    steps: list[str | int] = []
    for segment in path:
        match = _INDEXED.fullmatch(segment)
        name = match[1] if match else segment
        joined = steps and isinstance(steps[-1], str)
        steps[-1:] = [f"{steps[-1]}.{name}"] if joined else [*steps[-1:], name]
        steps += [int(match[2])] if match else []
    return steps


def indexed(name: str) -> tuple[str, int] | None:
    """The name and the number of `blocks[2]`; None for a name without a number."""
    match = _INDEXED.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def plain_tail(path: Path) -> Path:
    """The segments after the last that is numbered."""
    numbered = [at for at, segment in enumerate(path, 1) if _INDEXED.fullmatch(segment)]
    return path[numbered[-1] if numbered else 0 :]


def turned(path: Path, turn: int) -> Path:
    """The path by which what is applied once more draws anew, so that nothing draws twice alike."""
    return (*path, f"turn {turn}") if turn and path else path


@dataclass(eq=False)
class FunctionContext:
    """One function of the IR while it is written, with the symbols that its text speaks of."""

    program: ProgramContext
    function: Function
    uses: Uses
    items: dict[object, Pending] = field(default_factory=dict[object, Pending])
    symbols: set[str] = field(default_factory=set[str])
    lines: list[Line] = field(default_factory=list[Line])
    commented: set[str] = field(default_factory=set[str])
    parts: dict[int, str] = field(default_factory=dict[int, str])
    """What holds the gradient of the weight of a product in a loop, by the product."""

    def size(self, size: Dim) -> str:
        """A size as text; notes the symbols in it."""
        self.symbols |= {symbol.name for symbol in size.symbols}
        return size_text(size, self.program.symbols)


class Keys(Protocol):
    """Random keys by the path of what draws."""

    def at(self, program: ProgramContext, path: Path) -> ast.expr:
        """The key of what stands at a path."""
        ...

    def below(self, path: Path) -> Keys:
        """Those of what stands below a path."""
        ...


@dataclass
class Frame:
    """Where weights, state and the random key come from at some place in a function; `keys` where it is not one key."""

    params: ast.expr
    state: StateView
    key: ast.expr
    keys: Keys | None = None
    drawn: Counter[Path] = field(default_factory=Counter[Path])

    def key_at(self, program: ProgramContext, path: Path) -> ast.expr:
        """The key of what stands at a path, another each time that it is asked for."""
        turn = self.drawn[path]
        self.drawn[path] += 1
        path = turned(path, turn)
        return program.key_at(self.key, path) if self.keys is None else self.keys.at(program, path)


class Names:
    """The local names of a Python function, each with the position up to which it is needed."""

    def __init__(self, reserved: frozenset[str], fixed: Iterable[str] = ()) -> None:
        self.reserved, self.fixed = reserved, set(fixed)
        self.until: dict[str, float] = {}

    def take(self, hint: str, now: float, until: float, *, beside: bool = False) -> str:
        """A name that is free at `now`; with `beside`, also free of what is still read at `now`."""
        base = python_name(hint)
        base = f"{base}_" if base in self.reserved else base
        name, number = base, 1
        while not self._free(name, now, beside):
            number += 1
            name = f"{base}{number}" if base.endswith("_") else f"{base}_{number}"
        self.until[name] = until
        return name

    def keep(self, name: str, until: float) -> None:
        """Needs a name for longer."""
        if name in self.until:
            self.until[name] = max(self.until[name], until)

    def release(self, names: Iterable[str]) -> None:
        """Needs names no longer than for the statement that is being made."""
        for name in names:
            self.until[name] = -FOREVER

    def _free(self, name: str, now: float, beside: bool) -> bool:
        if name in self.reserved or name in self.fixed:
            return False
        last = self.until.get(name, -FOREVER)
        return last < now or (not beside and last <= now)


@dataclass
class OpScope:
    """What an op may ask while it is written: :class:`trxc.ops.definition.Scope`."""

    context: FunctionContext
    key_of_op: Callable[[], ast.expr]

    def size(self, size: Dim) -> str:
        """A size, in parentheses where it is a computation."""
        text = self.context.size(size)
        return text if text.isidentifier() or text.isdigit() else f"({text})"

    def dtype(self, dtype: DType) -> str:
        """`jnp.float32`."""
        return dtype_name(dtype)

    def key(self) -> str:
        """The op's own random key."""
        return flat(self.key_of_op())

    def prelude(self, name: str) -> str:
        """The name of a function of the prelude, which the program then brings along."""
        return self.context.program.use(name)


def keys_of(path: Path) -> Path:
    """A path as keys of the tree that holds what it names."""
    return tuple(map(storage_key, path))
