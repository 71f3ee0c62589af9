"""Trees of arrays by name: flattening, and saying in one line how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .untyped import jax

Tree = Any
"""Nested dicts, tuples and named tuples of arrays."""

Signature = dict[str, tuple[list[int], str]]
"""Of each leaf, by its dotted path: shape and dtype."""


def flatten(tree: Tree) -> dict[str, Any]:
    """Leaves by dotted path: ``{"params": {"w": x}}`` gives ``{"params.w": x}``."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {".".join(_part(key) for key in path): leaf for path, leaf in leaves}


def unflatten(like: Tree, leaves: Mapping[str, Any]) -> Tree:
    """The tree that is shaped as ``like`` and holds ``leaves``, which :func:`flatten` named."""
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, [leaves[name] for name in flatten(like)])


def signature(tree: Tree) -> Signature:
    """Shape and dtype of every leaf."""
    return {name: (list(leaf.shape), str(leaf.dtype)) for name, leaf in flatten(tree).items()}


def difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """How the signature ``found`` differs from ``expected``, in one line; None where it does not."""
    parts: list[str] = []
    for name in sorted(expected.keys() - found.keys()):
        parts.append(f"`{name}` is missing")
    for name in sorted(found.keys() - expected.keys()):
        parts.append(f"`{name}` is not in this program")
    for name in sorted(found.keys() & expected.keys()):
        if list(found[name]) != list(expected[name]):
            parts.append(f"`{name}` is {_shown(found[name])} there and {_shown(expected[name])} here")
    if not parts:
        return None
    more = f"; {len(parts) - 3} more" if len(parts) > 3 else ""
    return "; ".join(parts[:3]) + more


def _part(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _shown(leaf: Any) -> str:
    shape, dtype = leaf
    return f"{dtype}{list(shape)}"
