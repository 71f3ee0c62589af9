"""The names in a Python function that is being written, and what an op may ask of it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

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
        names: list[str] = []
        for segment in path:
            match = _INDEXED.fullmatch(segment)
            names.append(match[1] if match else segment)
            if match:
                key = parse(f"jax.random.fold_in({flat(self._fold(key, names))}, {int(match[2])})")
                names = []
        return self._fold(key, names)

    def _fold(self, key: ast.expr, names: list[str]) -> ast.expr:
        if not names:
            return key
        return parse(f"{self.use('fold')}({flat(key)}, {literal('.'.join(names))})")


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

    def size(self, size: Dim) -> str:
        """A size as text; notes the symbols in it."""
        self.symbols |= {symbol.name for symbol in size.symbols}
        return size_text(size, self.program.symbols)


@dataclass
class Frame:
    """Where weights, state and the random key come from at some place in a function."""

    params: ast.expr
    state: StateView
    key: ast.expr
    drawn: Counter[Path] = field(default_factory=Counter[Path])

    def key_at(self, program: ProgramContext, path: Path) -> ast.expr:
        """The key of what stands at a path; what is applied once more draws anew, so that nothing draws twice alike."""
        turn = self.drawn[path]
        self.drawn[path] += 1
        return program.key_at(self.key, (*path, f"turn {turn}") if turn and path else path)


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
