"""Walks over the intermediate representation: who uses what, who calls whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias, cast

from ..dims import Dim
from ..frozen import Frozen
from ..types import TensorType
from .ir import Attribute, Function, Module, Op, Path, Region, Value

SLICED = "repeat"
"""The op whose iterations each see their own slice of the parameters below its path."""


SliceNames: TypeAlias = "tuple[str, ...] | tuple[tuple[str, ...], ...]"
"""See :func:`slice_names`."""


class Use(Frozen):
    """A place that holds a value: operand `index` of `op`, or result `index` of `region` where `op` is None."""

    region: Region
    op: Op | None
    index: int


class Loop(Frozen):
    """A `repeat` around an op: the root of its slices relative to the function, their number, and names of their own.

    `names` is the attribute of that name, see :func:`slice_names`.
    """

    path: Path
    count: int
    names: SliceNames = ()

    def renaming(self, below: Path) -> tuple[int, tuple[str, ...]] | None:
        """How many segments after the path's last the names replace, with it, for what is at `below` the path.

        None where slices have no names of their own, or `below` begins with none of the members.
        """
        if not self.names or isinstance(self.names[0], str):
            return (0, tuple(map(str, self.names))) if self.names else None
        members = [member for member in self.names if isinstance(member, tuple) and below[:1] == member[:1]]
        return (1, members[0]) if members else None


class Placed(Frozen):
    """An op, and where its parameter paths begin: at `root`, below the paths of the `loops` (outermost first).

    `root` is relative to the function.
    """

    op: Op
    root: Path
    loops: tuple[Loop, ...]

    @property
    def path(self) -> Path:
        """The op's own `path`, relative to the function."""
        return self.root + self.op.path()


def regions(region: Region) -> Iterator[Region]:
    """A region and all regions nested in it."""
    yield region
    for op in region.ops:
        for inner in op.regions:
            yield from regions(inner)


def placed_ops(function: Function) -> Iterator[Placed]:
    """Every op of a function with its parameter root, in order, those of nested regions after their op."""
    yield from _placed(function.body, (), ())


def _placed(region: Region, root: Path, loops: tuple[Loop, ...]) -> Iterator[Placed]:
    for op in region.ops:
        yield Placed(op, root, loops)
        inner, around = root, loops
        if op.regions and "path" in op.attributes:
            inner = root + op.path()
        if op.kind == SLICED:
            around = (*loops, Loop(inner, stack_count(op), slice_names(op)))
        for nested in op.regions:
            yield from _placed(nested, inner, around)


def repeat_count(op: Op) -> int:
    """The number of iterations of a `repeat`."""
    return _number(op, "count", 0)


def stack_count(op: Op) -> int:
    """The number of slices that the parameters below the path of a `repeat` have; it may use only some of them."""
    return _number(op, "of", repeat_count(op))


def first_slice(op: Op) -> int:
    """The slice of the parameters that the first iteration of a `repeat` has."""
    return _number(op, "first", 0)


def slice_names(op: Op) -> SliceNames:
    """The names that the slices of a `repeat` have instead of numbers; () where slice *i* is `path[i]`.

    Either a name for each of its :func:`stack_count` slices, in place of the last segment of the path; or *members*: a
    tuple of names for each part of a slice, in place of the last segment of the path and the part's own, which is the
    first of the tuple. With path ``("layers",)`` and names ``(("norm", "norm_2"), ("dense", "dense_2"))``, what is
    stored at ``layers.dense.w`` is ``dense.w`` and ``dense_2.w``.
    """
    names = op.attributes.get("names", ())
    assert isinstance(names, tuple)
    return cast("SliceNames", names)


def collected_count(op: Op) -> int:
    """How many results of a `repeat` are stacked over its iterations; they come after the carries."""
    return _number(op, "collected", 0)


def _number(op: Op, name: str, default: int) -> int:
    value = op.attributes.get(name, default)
    assert isinstance(value, int)
    return value


def definitions(region: Region) -> Iterator[Value]:
    """Every value that a region and those nested in it define, in order."""
    yield from region.arguments
    for op in region.ops:
        for inner in op.regions:
            yield from definitions(inner)
        yield from op.results


def uses(region: Region) -> dict[Value, list[Use]]:
    """Every place in a region, and those nested in it, that holds a value; values without a use are missing."""
    found: dict[Value, list[Use]] = {}
    for inner in regions(region):
        for op in inner.ops:
            for index, value in enumerate(op.operands):
                found.setdefault(value, []).append(Use(inner, op, index))
        for index, value in enumerate(inner.results):
            found.setdefault(value, []).append(Use(inner, None, index))
    return found


def count_uses(region: Region) -> Counter[Value]:
    """How many places hold each value."""
    return Counter({value: len(places) for value, places in uses(region).items()})


def replace(region: Region, new: Mapping[Value, Value]) -> None:
    """Puts `new[value]` in every place of a region, and those nested in it, that holds `value`."""
    for inner in regions(region):
        for op in inner.ops:
            op.operands[:] = [new.get(value, value) for value in op.operands]
        inner.results[:] = [new.get(value, value) for value in inner.results]


def captures(region: Region) -> list[Value]:
    """The values of the regions around it that a region uses, in order of first use."""
    own = set(definitions(region))
    return [value for value in uses(region) if value not in own]


def callee(op: Op) -> str:
    """The name of the function that a `call` calls; the verifier asks this of calls that may not have one, too."""
    return str(op.attributes.get("callee", ""))


def callees(function: Function) -> list[str]:
    """The functions that a function calls, each once, in order of the first call."""
    return list(dict.fromkeys(callee(op) for op in function.body.walk() if op.kind == "call"))


def call_order(module: Module, roots: Iterable[str] | None = None) -> list[str]:
    """The functions that are reached from the roots (all functions, if not given), callees before their callers.

    Raises:
        ValueError: a function calls itself, directly or through others.
    """
    order: dict[str, None] = {}
    open_: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in order:
            return
        if name in open_:
            raise ValueError(f"`{name}` calls itself: {' -> '.join([*open_, name])}")
        open_[name] = None
        for called in callees(module.functions[name]):
            if called in module.functions:
                visit(called)
        del open_[name]
        order[name] = None

    for root in module.functions if roots is None else roots:
        visit(root)
    return list(order)


def reachable(module: Module) -> set[str]:
    """The functions that play a role, and those that they call."""
    return set(call_order(module, module.roles.values()))


def type_symbols(type_: TensorType) -> set[str]:
    """The names of the symbols that the sizes of a type depend on."""
    return {symbol.name for size in type_.sizes for symbol in size.symbols}


def attribute_symbols(value: Attribute) -> set[str]:
    """The names of the symbols in an attribute."""
    if isinstance(value, Dim):
        return {symbol.name for symbol in value.symbols}
    if isinstance(value, tuple):
        return {name for part in value for name in attribute_symbols(part)}
    return set()


def function_symbols(function: Function) -> set[str]:
    """The names of all symbols that a function speaks of."""
    found = {name for value in definitions(function.body) for name in type_symbols(value.type)}
    for op in function.body.walk():
        for value in op.attributes.values():
            found |= attribute_symbols(value)
    for parameter in function.parameters.values():
        found |= type_symbols(parameter.type)
    return found


def symbols(module: Module) -> set[str]:
    """The names of all symbols that a module speaks of."""
    return {name for function in module.functions.values() for name in function_symbols(function)}
