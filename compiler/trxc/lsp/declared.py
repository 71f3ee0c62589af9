"""What an item of the language offers by name: its parameters, inputs, outputs, weights and dims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..ops import OPS
from ..resolve import ItemRef
from ..syntax import ast
from ..types import DTYPES
from .names import SymbolKind

PUBLIC_OPS = {name: op for name, op in OPS.items() if op.public}
CONSTANTS = {"inf": "infinity", "pi": "3.14159…", "training": "whether the model is being trained"}


def parameters(item: ast.Item) -> tuple[ast.Parameter, ...]:
    """The parameters of a layer, fn or extern."""
    return item.parameters if isinstance(item, ast.Layer | ast.Fn | ast.Extern) else ()


def signatures(item: ast.Item) -> list[ast.Signature]:
    """The inputs of a layer."""
    body = item.body if isinstance(item, ast.Layer | ast.Extern) else None
    return [s for node in body or () if isinstance(node, ast.Input) for s in node.signatures]


def statements(nodes: Iterable[ast.Statement]) -> Iterator[ast.Statement]:
    """Statements with those in the branches of `if`."""
    for node in nodes:
        yield node
        if isinstance(node, ast.If):
            yield from statements((*node.then, *node.otherwise))


def names_of(item: ast.Item) -> dict[str, SymbolKind]:
    """Every name that a layer declares for others to speak of: not its bindings."""
    found: dict[str, SymbolKind] = {p.name.name: "parameter" for p in parameters(item)}
    if not isinstance(item, ast.Layer):
        return found
    for node in statements(item.body or ()):
        for ident, kind in _introduced(node):
            found.setdefault(ident, kind)
    for type_ in _types(item):
        for name in dim_names(type_):
            found.setdefault(name.name, "dim")
    return found


def _introduced(node: ast.Statement) -> Iterator[tuple[str, SymbolKind]]:
    match node:
        case ast.Input(signatures=declared):
            for signature in declared:
                yield signature.name.name, "input"
        case ast.Output(name=ast.Ident(name=name)):
            yield name, "output"
        case ast.Param(name=ident):
            yield ident.name, "weight"
        case ast.State(name=ident):
            yield ident.name, "state"
        case ast.DimDecl(name=ident):
            yield ident.name, "dim"
        case _:
            return


def _types(item: ast.Layer) -> Iterator[ast.TypeExpr]:
    yield from (p.type for p in item.parameters if p.type is not None)
    for node in statements(item.body or ()):
        if isinstance(node, ast.Input):
            yield from (s.type for s in node.signatures)
        elif isinstance(node, ast.Output | ast.Bind | ast.Param | ast.State | ast.Carry) and node.type is not None:
            yield node.type


def dim_names(type_: ast.TypeExpr) -> Iterator[ast.Name | ast.Ident]:
    """The names that stand alone as dims of a type."""
    for item in type_.dims or ():
        if isinstance(item, ast.Name):
            yield item
        elif isinstance(item, ast.PackDim) and item.name is not None:
            yield item.name


def methods_of(layer: ItemRef) -> dict[str, ItemRef]:
    """The fns beside a layer that take a layer first: `table.attend(x)`."""
    found: dict[str, ItemRef] = {}
    for name in layer.unit.names():
        item = layer.unit.own(name)
        if item is not None and isinstance(item.item, ast.Fn) and takes_layer(item.item):
            found[name] = item
    return found


def takes_layer(fn: ast.Fn) -> bool:
    """Whether a fn's first parameter is a layer."""
    first = fn.parameters[0].type if fn.parameters else None
    return first is not None and first.name.name == "layer"


def built_in_kind(name: str) -> SymbolKind | None:
    """What a name that no file defines is to the language."""
    from ..elaborate.builtins import BUILTINS

    if name in CONSTANTS:
        return "constant"
    if name in BUILTINS:
        return "builtin"
    if name in PUBLIC_OPS:
        return "op"
    return "dtype" if name in DTYPES else None
