"""What is known of a layer's sizes and of its pieces from its text alone: what mutations argue from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trxc.diagnostics import Diagnostics
from trxc.resolve import Library
from trxc.syntax import ast

from .program import Placed, Program

_LIBRARY = Library(Diagnostics())


def sizes(layer: Any) -> dict[str, int | str]:
    """Sizes by name: a model's int parameters are what they default to, all others are symbols of their own.

    Names that two inputs share, packs and names of computed sizes are left out.
    """
    found: dict[str, int | str] = {}
    for parameter in layer.parameters:
        name, default = parameter.name.name, parameter.default
        if parameter.type is None or parameter.type.name.name != "int" or isinstance(default, ast.NoneValue):
            continue
        known = layer.kind == "model" and isinstance(default, ast.Number)
        found[name] = int(default.value) if known else name
    for node in layer.body or ():
        if isinstance(node, ast.Input):
            dims = [d.name for s in node.signatures for d in s.type.dims or () if isinstance(d, ast.Name)]
            found = {**{name: name for name in dims}, **found}
    return found


def differ(first: str, second: str, layer: Any) -> bool:
    """Whether two names are known to stand for different sizes."""
    known = sizes(layer)
    return first in known and second in known and known[first] != known[second]


def annotations(program: Program) -> Iterator[tuple[Placed, Any, Any]]:
    """Types that say what a value is, in layers: the statement, its type without packs, and the layer."""
    for placed in program.of(ast.Output, ast.Bind):
        type_, layer = placed.node.type, placed.item
        if type_ is None or not type_.dims or not isinstance(layer, ast.Layer) or layer.body is None:
            continue
        if not any(isinstance(dim, ast.PackDim) for dim in type_.dims):
            yield placed, type_, layer


def chain(value: Any) -> list[Any]:
    """The value and the layers of `value |> f >> g |> h`, in order."""
    if isinstance(value, ast.Pipe):
        return [*chain(value.value), *chain(value.function)]
    if isinstance(value, ast.Compose):
        return [*chain(value.first), *chain(value.second)]
    return [value]


def chains(program: Program) -> Iterator[tuple[Placed, list[Any]]]:
    """Every whole chain of two links or more."""
    for placed in program.of(ast.Pipe, ast.Compose):
        if not isinstance(placed.around[-1], ast.Pipe | ast.Compose):
            yield placed, chain(placed.node)


def called(node: Any) -> str:
    """The name of what is called, or of what is named."""
    if isinstance(node, ast.Call) and isinstance(node.function, ast.Name):
        return node.function.name
    return node.name if isinstance(node, ast.Name) else ""


def definition(name: str, program: Program) -> Any | None:
    """The layer, fn or extern of a name: the program's own, else the library's."""
    for item in program.tree.items:
        if isinstance(item, ast.Layer | ast.Fn | ast.Extern) and item.name.name == name:
            return item
    module = _LIBRARY.prelude.get(name)
    for candidate in (module, "attention", "data", "optim", "sample"):
        ref = _LIBRARY.standard(candidate).own(name) if candidate else None
        if ref is not None:
            return ref.item
    return None


def input_type(name: str, program: Program) -> Any | None:
    """The type of a layer's only input, where it has one and a body."""
    item = definition(name, program)
    if not isinstance(item, ast.Layer) or item.body is None:
        return None
    signatures = [s for node in item.body if isinstance(node, ast.Input) for s in node.signatures]
    return signatures[0].type if len(signatures) == 1 else None


def embeds(node: Any, placed: Placed, program: Program) -> bool:
    """Whether a link of a chain makes vectors of ids: `Embedding(…)`, or a name that is bound to one."""
    if called(node) == "Embedding":
        return isinstance(node, ast.Call)
    layer = placed.item
    if not isinstance(node, ast.Name) or not isinstance(layer, ast.Layer):
        return False
    bound = [n.value for n in layer.body or () if isinstance(n, ast.Bind) and n.names[0].name == node.name]
    return len(bound) == 1 and called(bound[0]) == "Embedding"


def in_layer(placed: Placed) -> bool:
    """Whether a node stands in a layer's or model's body."""
    return isinstance(placed.item, ast.Layer) and placed.nearest(ast.Parameter) is None


def einsums(program: Program) -> Iterator[tuple[Placed, list[list[str]], list[str]]]:
    """Calls of `einsum` with a pattern of letters: the pattern's node, the operands' letters, and the result's."""
    for placed in program.of(ast.Call):
        if called(placed.node) != "einsum" or not isinstance(placed.node.arguments[0].value, ast.String):
            continue
        pattern = placed.node.arguments[0].value
        if pattern.value.count("->") == 1 and "(" not in pattern.value:
            left, right = pattern.value.split("->")
            yield placed, [part.split() for part in left.split(",")], right.split()


def contracted(program: Program, layer: Any, weight: str) -> set[int]:
    """At which of its dims a weight meets the same letter of another operand that is no weight."""
    weights = {n.name.name for n in layer.body or () if isinstance(n, ast.Param)}
    found: set[int] = set()
    for placed, operands, _ in einsums(program):
        if placed.item is not layer:
            continue
        values = [a.value for a in placed.node.arguments[1:]]
        for value, letters in zip(values, operands, strict=False):
            if not isinstance(value, ast.Name) or value.name != weight:
                continue
            others = {x for v, o in zip(values, operands, strict=False) if called(v) not in weights for x in o}
            found |= {at for at, letter in enumerate(letters) if letter in others}
    for placed in program.of(ast.Binary):
        right = placed.node.right
        if (
            placed.item is layer
            and placed.node.operator == "@"
            and isinstance(right, ast.Name)
            and right.name == weight
        ):
            found.add(0)
    return found
