"""What a layer's or fn's text names, read without elaborating it: what binds a name, and what speaks of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from ..resolve import ItemRef
from ..syntax import ast

AXES = frozenset({"over", "along", "axis"})
"""Arguments that name a dim, which the caller may have brought."""

Readable = ast.Layer | ast.Fn | ast.Extern


def below(node: ast.Node) -> Iterator[ast.Node]:
    """The nodes directly below a node."""
    for name in type(node).__match_args__:
        value = getattr(node, name)
        items = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        yield from (item for item in items if isinstance(item, ast.Node))


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """A node and all below it, each before what it is made of; as deep as a text may be without recursion."""
    open_ = [node]
    while open_:
        node = open_.pop()
        yield node
        open_.extend(reversed(list(below(node))))


@dataclass
class Mentions:
    """One item read through: its nodes, the names that it binds and uses, and the words that may name an axis."""

    item: Readable
    nodes: list[ast.Node] = field(default_factory=list[ast.Node])
    bound: dict[str, list[ast.Ident]] = field(default_factory=dict[str, "list[ast.Ident]"])
    inner: set[str] = field(default_factory=set[str])
    used: list[ast.Name] = field(default_factory=list[ast.Name])
    axes: list[ast.Name] = field(default_factory=list[ast.Name])

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each name is used."""
        found: dict[str, list[int]] = {}
        for use in self.used:
            found.setdefault(use.name, []).append(use.span.start)
        return found

    @property
    def known(self) -> set[str]:
        """Every name that something in the item binds, wherever it holds."""
        return self.bound.keys() | self.inner


def dims_of(nodes: Iterable[ast.Node]) -> set[str]:
    """The names in the types among nodes."""
    types = (node for node in nodes if isinstance(node, ast.TypeExpr))
    return {name.name for type_ in types for name in walk(type_) if isinstance(name, ast.Name | ast.Ident)}


def read_items(items: Iterable[ItemRef]) -> list[Mentions]:
    """The layers, models, fns and externs among items, read through."""
    return [_read(ref.item) for ref in items if isinstance(ref.item, ast.Layer | ast.Fn | ast.Extern)]


def _read(item: Readable) -> Mentions:
    found = Mentions(item, list(walk(item)))
    for node in found.nodes:
        _bind(node, found)
        if isinstance(node, ast.Name):
            found.used.append(node)
        elif isinstance(node, ast.PackDim) and node.name is not None:
            found.used.append(ast.Name(node.name.span, node.name.name))
        elif isinstance(node, ast.Argument) and node.name is not None and node.name.name in AXES:
            found.axes += [name for name in walk(node.value) if isinstance(name, ast.Name)]
    return found


def _bind(node: ast.Node, found: Mentions) -> None:
    """Notes what a node gives a name to."""
    match node:
        case ast.Bind(names=names):
            for name in names:
                found.bound.setdefault(name.name, []).append(name)
        case ast.Parameter(name=name) | ast.Signature(name=name) | ast.Param(name=name) | ast.State(name=name):
            found.bound.setdefault(name.name, []).append(name)
        case ast.Carry(name=name) | ast.DimDecl(name=name):
            found.bound.setdefault(name.name, []).append(name)
        case ast.Output(name=ast.Ident(name=name)) | ast.Comprehension(name=ast.Ident(name=name)):
            found.inner.add(name)
        case ast.Lambda(parameters=names):
            found.inner.update(name.name for name in names)
        case ast.TypeExpr(dims=dims, name=name):
            found.inner.add(name.name)
            found.inner.update(_dim_names(dims or ()))
        case _:
            pass


def _dim_names(dims: tuple[ast.Dim, ...]) -> Iterator[str]:
    for dim in dims:
        if isinstance(dim, ast.Name):
            yield dim.name
        elif isinstance(dim, ast.PackDim) and dim.name is not None:
            yield dim.name.name
