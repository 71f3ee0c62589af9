"""The syntax tree as text: `trxc compile FILE --emit ast`."""

from __future__ import annotations

from typing import Any, cast

import click

from ...diagnostics import Diagnostics
from ...source import Source, Span
from ...syntax import ast, parse
from .files import ProgramFile
from .output import say_diagnostics
from .status import PROGRAM_WRONG


def tree_text(file: ProgramFile) -> str:
    """The tree of a file; one that does not parse ends the command with its diagnostics."""
    found = Diagnostics()
    tree = parse(Source(file.name, file.text), found)
    if found.failed:
        say_diagnostics(found)
        raise click.exceptions.Exit(PROGRAM_WRONG)
    return show(tree)


def show(tree: ast.Node) -> str:
    """A node a line, two spaces deeper than the one it belongs to, with its place and its plain fields::

        Binary 3:14 operator="+"
          left: Name 3:14 name="x"

    Trees may be thousands of nodes deep, so that what is still to be shown is kept in a list of our own.
    """
    lines: list[str] = []
    rest: list[tuple[int, str, Any]] = [(0, "", tree)]
    while rest:
        depth, label, value = rest.pop()
        children: list[tuple[str, Any]] = []
        if isinstance(value, ast.Node):
            children = [(name, item) for name, item in _fields(value) if _is_tree(item)]
            lines.append("  " * depth + label + _head(value))
        else:
            lines.append("  " * depth + label.removesuffix(" "))
            children = [("", item) for item in cast("tuple[Any, ...]", value)]
        rest += [(depth + 1, f"{name}: " if name else "", item) for name, item in reversed(children)]
    return "\n".join(lines)


def _head(node: ast.Node) -> str:
    place = "{}:{}".format(*node.span.source.position(node.span.start))
    plain = [f" {name}={_plain(item)}" for name, item in _fields(node) if not _is_tree(item) and item not in (None, "")]
    return f"{type(node).__name__} {place}{''.join(plain)}"


def _fields(node: ast.Node) -> list[tuple[str, Any]]:
    values = [(name, getattr(node, name)) for name in node.__match_args__]
    return [(name, value) for name, value in values if not isinstance(value, Span) and value != ()]


def _is_tree(value: Any) -> bool:
    """Whether a field's value is shown on lines of its own: a node, or several."""
    if isinstance(value, tuple):
        return any(_is_tree(item) for item in cast("tuple[Any, ...]", value))
    return isinstance(value, ast.Node)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\n", "\\n") + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)
