"""The syntax tree by place: what a node is made of, and what stands around an offset."""

from __future__ import annotations

from collections.abc import Iterator

from ..syntax import ast


def children(node: ast.Node) -> Iterator[ast.Node]:
    """The nodes right within a node, in the order of its fields."""
    for name in node.__match_args__:
        value = getattr(node, name)
        if isinstance(value, ast.Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, ast.Node))  # pyright: ignore[reportUnknownVariableType]


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """A node and all nodes in it, each before those within it."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(list(children(here))))


def around(root: ast.Node, offset: int) -> list[ast.Node]:
    """The nodes that hold an offset (or end there), from the root inward."""
    found = [root]
    while True:
        inner = [child for child in children(found[-1]) if child.span.start <= offset <= child.span.end]
        if not inner:
            return found
        found.append(min(inner, key=lambda node: (node.span.end - node.span.start, -node.span.start)))


def item_at(file: ast.File, offset: int) -> ast.Item | None:
    """The item that holds an offset."""
    return next((item for item in file.items if item.span.start <= offset <= item.span.end), None)
