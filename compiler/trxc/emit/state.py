"""The new state of a function while it is written: which parts are the old ones, and what has replaced others.

Reads see the state as it was when the step began, so only what a function returns comes from here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from ..ir import Path
from .expressions import literal, parse


def subscript(root: ast.expr, path: Iterable[str | int]) -> ast.expr:
    """`root["a"][0]["b"]`."""
    for key in path:
        root = ast.Subscript(root, ast.Constant(key), ast.Load())
    return root


class StateView:
    """The new state below a root, as expressions; what is not replaced is the old one."""

    def __init__(self, root: ast.expr) -> None:
        self.root = root
        self.changed: dict[Path, ast.expr] = {}
        self.whole: dict[Path, tuple[ast.expr, frozenset[Path]]] = {}

    def old(self, path: Path) -> ast.expr:
        """The state at `path` as it was when the step began."""
        return subscript(self.root, path)

    def below(self, path: Path) -> StateView:
        """The view of a branch, whose paths are relative to `path`."""
        view = StateView(self.old(path))
        size = len(path)
        view.changed = {leaf[size:]: value for leaf, value in self.changed.items() if leaf[:size] == path}
        return view

    def replace(self, path: Path, value: ast.expr, leaves: Sequence[Path]) -> None:
        """Notes that `value` is the new subtree at `path`; `leaves` are those in it, relative to `path`."""
        affected = frozenset(path + leaf for leaf in leaves)
        for leaf in leaves:
            self.changed[path + leaf] = subscript(value, leaf)
        self.whole = {at: (v, held) for at, (v, held) in self.whole.items() if not held & affected}
        self.whole[path] = (value, affected)

    def new(self, path: Path, leaves: Sequence[Path]) -> ast.expr:
        """The new subtree at `path` with the given leaves, relative to `path`, in it."""
        below = [path + leaf for leaf in leaves]
        if path in self.whole and self.whole[path][1] >= set(below):
            return self.whole[path][0]
        if below == [path]:
            return self.changed.get(path, self.old(path))
        if path and not any(leaf in self.changed for leaf in below):
            return self.old(path)
        keys = list(dict.fromkeys(leaf[len(path)] for leaf in below))
        parts = [self.new((*path, key), _relative(below, (*path, key))) for key in keys]
        return ast.Dict([parse(literal(key)) for key in keys], parts)


def _relative(below: Sequence[Path], path: Path) -> list[Path]:
    return [leaf[len(path) :] for leaf in below if leaf[: len(path)] == path]
