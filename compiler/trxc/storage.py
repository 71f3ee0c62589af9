"""The weights of a module by name, and how another module that computes the same stores them.

Passes keep the names of weights and states and may change where they are stored: equal layers that stand one after the
other become slices of one array. ``restored`` carries a tree of arrays over::

    before: {"block": {"w": w1}, "block_2": {"w": w2}}      names: block.w, block_2.w
    after:  {"block": {"w": stack([w1, w2])}}               the same names
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .ir import Module
from .ir.parameters import BoundParameter, parameter_tree, state_tree
from .ops.arrays import Array
from .reference import EvaluationError, Tree


def restored(before: Module, after: Module, role: str | None, tree: Tree, *, missing: Tree | None = None) -> Tree:
    """A tree of one module's weights, or of its states, as another module stores them.

    Args:
        before: the module that the tree is for.
        after: a module with weights of the same names; it need not have all of them.
        role: whose weights; those of all roles, if not given.
        tree: arrays by storage path. What is not there is not carried over.
        missing: a tree as `after` stores it, for what only `after` has.

    Raises:
        EvaluationError: `after` has a weight that is in neither tree.
    """
    arrays = {} if missing is None else by_name(after, role, missing)
    return stored(after, role, arrays | by_name(before, role, tree))


def by_name(module: Module, role: str | None, tree: Tree) -> dict[str, Array]:
    """The arrays of a tree of weights or states by their names: slices of stacks each by its own."""
    found: dict[str, Array] = {}
    for bound in bound_parameters(module, role):
        array = _at(tree, bound)
        if array is not None:
            found |= {name: array[at] if at else array for at, name in bound.names.items()}
    return found


def stored(module: Module, role: str | None, arrays: Mapping[str, Array]) -> Tree:
    """The tree in which a module stores arrays that are given by name; what it calls otherwise is left out.

    Raises:
        EvaluationError: of some slices of a stack there are arrays, and of others not.
    """
    tree: Tree = {}
    for bound in bound_parameters(module, role):
        given = [arrays[name] for name in bound.names.values() if name in arrays]
        if not given:
            continue
        if len(given) < len(bound.names):
            lacking = next(name for name in bound.names.values() if name not in arrays)
            raise EvaluationError(f"there is no array for `{lacking}`")
        _put(tree, bound, np.reshape(np.stack(given), (*bound.stack, *np.shape(given[0]))))
    return tree


def bound_parameters(module: Module, role: str | None) -> list[BoundParameter]:
    """The weights and states of a role, or of all, each once."""
    find: tuple[Callable[[Module, str], list[BoundParameter]], ...] = (parameter_tree, state_tree)
    names = module.roles.values() if role is None else [module.roles[role]]
    found = {bound.path: bound for name in dict.fromkeys(names) for each in find for bound in each(module, name)}
    return list(found.values())


def _at(tree: Tree, bound: BoundParameter) -> Array | None:
    entry: Array | Tree | None = tree
    for key in bound.path:
        entry = entry.get(key) if isinstance(entry, dict) else None
    return None if isinstance(entry, dict) else entry


def _put(tree: Tree, bound: BoundParameter, array: Array) -> None:
    *folders, last = bound.path
    for key in folders:
        below = tree.setdefault(key, {})
        assert isinstance(below, dict)
        tree = below
    tree[last] = array
