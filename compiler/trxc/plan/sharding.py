"""Dim names → mesh axes: how values are split, and whether that can be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from ..frozen import Frozen
from ..types import Axis

Rules: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""The rules of a mesh: a dim's name, and the axes that it goes over."""

Spec: TypeAlias = tuple["str | tuple[str, ...] | None", ...]


def spec_of(axes: Sequence[Axis], rules: Rules) -> Spec:
    """The mesh axes of each dim by the rules for its name; a mesh axis splits one dim only, the first."""
    table, used = dict(rules), set[str]()
    spec: list[str | tuple[str, ...] | None] = []
    for axis in axes:
        mine = tuple(a for a in table.get(axis.public_name or "", ()) if a not in used)
        used.update(mine)
        spec.append(mine[0] if len(mine) == 1 else mine or None)
    return tuple(spec)


class Uneven(Frozen):
    """A dim that its mesh axes do not divide: JAX would leave it whole, without a word."""

    dim: str
    size: int
    axes: tuple[str, ...]
    parts: int


def uneven(values: Iterable[Sequence[Axis]], rules: Rules, mesh: Mapping[str, int]) -> Iterator[Uneven]:
    """Every known size that the axes of its rule do not divide, each once."""
    table, seen = dict(rules), set[tuple[str, int]]()
    for axes in values:
        for axis in axes:
            name, size = axis.public_name, axis.size.value
            if name is None or name not in table or size is None or (name, size) in seen:
                continue
            seen.add((name, size))
            parts = math.prod(mesh[a] for a in table[name])
            if size % parts:
                yield Uneven(name, size, table[name], parts)


def names_in(values: Iterable[Sequence[Axis]]) -> set[str]:
    """The names that dims of values have."""
    return {axis.public_name for axes in values for axis in axes if axis.public_name is not None}
