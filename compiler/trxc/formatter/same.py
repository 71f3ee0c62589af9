"""Whether two trees say the same thing."""

from __future__ import annotations

from typing import Any, cast

from ..syntax import ast


def same_tree(one: ast.Node, other: ast.Node) -> bool:
    """Whether two trees are equal, the documentation of items included, wherever their parts stand in the text.

    As `==`, but with a list of its own instead of a frame for each level: trees are thousands of levels deep.
    """
    todo: list[tuple[Any, Any]] = [(one, other)]
    while todo:
        left, right = todo.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, ast.Node):
            names = [name for name in left.__match_args__ if not name.endswith("span")]
            if isinstance(left, ast.File):
                names.remove("doc")  # a heading is one only at the very beginning, which empty lines were before
            todo += [(getattr(left, name), getattr(right, name)) for name in names]
        elif isinstance(left, tuple):
            pair = cast("tuple[tuple[Any, ...], tuple[Any, ...]]", (left, right))
            if len(pair[0]) != len(pair[1]):
                return False
            todo += zip(*pair, strict=True)
        elif left != right:
            return False
    return True
