"""Checkpoints of a program that stores the same weights in other arrays: matched by the weights' names.

A compiler may store equal layers as slices of one array, or one by one: `block.w` with two slices, or `block.w` and
`block_2.w`. What an optimizer keeps of each weight lies as the weights do, below a path of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import numpy as np

from .trees import Signature


class Stored(TypedDict):
    """A stored array: the numbers of its slices, and their names in order; of one weight, no number and one name."""

    stack: list[int]
    names: list[str]


Layout = dict[str, Stored]
"""How arrays are stored, by dotted path in the tree of weights or states: those whose path alone does not say it."""


def layout_of(manifest: Mapping[str, Any]) -> Layout:
    """The layout of a program's weights and states."""
    entries = [*manifest.get("parameters", ()), *manifest.get("state", ())]
    found: Layout = {}
    for entry in entries:
        key = ".".join(entry["key"])
        stack = [int(count) for count in entry["stack"]]
        names = [str(name) for name in entry.get("names") or _numbered(str(entry["path"]), stack)]
        if stack or names != [key]:
            found[key] = {"stack": stack, "names": names}
    return found


def _numbered(path: str, stack: Sequence[int]) -> list[str]:
    """`blocks[*].w` with its numbers."""
    first, *rest = path.split("[*]")
    every = itertools.product(*(range(count) for count in stack))
    return [first + "".join(f"[{n}]{text}" for n, text in zip(at, rest, strict=True)) for at in every]


@dataclass(frozen=True)
class _Slices:
    """The slices of an array: their names below its own path, and the shape and dtype of one."""

    stack: tuple[int, ...]
    names: tuple[str, ...]
    form: tuple[tuple[int, ...], str]


def _slices(name: str, leaf: tuple[Sequence[int], str], layout: Layout) -> _Slices:
    """The slices of the array at a dotted path, which ends with that of a weight, or is an array of its own."""
    shape, dtype = tuple(leaf[0]), leaf[1]
    parts = name.split(".")
    for at in range(1, len(parts)):
        stored = layout.get(".".join(parts[at:]))
        if stored is not None and list(shape[: len(stored["stack"])]) == stored["stack"]:
            names = tuple(".".join((*parts[:at], each)) for each in stored["names"])
            count = len(stored["stack"])
            return _Slices(shape[:count], names, (shape[count:], dtype))
    return _Slices((), (name,), (shape, dtype))


Places = dict[str, tuple[str, tuple[int, ...], tuple[tuple[int, ...], str]]]
"""Of each slice by name: the array that it is in, its index there, its shape and dtype."""


def _places(forms: Mapping[str, Any], layout: Layout) -> Places:
    found: Places = {}
    for name, leaf in forms.items():
        slices = _slices(name, (leaf.shape, str(leaf.dtype)), layout)
        every = itertools.product(*(range(count) for count in slices.stack))
        found |= {each: (name, at, slices.form) for each, at in zip(slices.names, every, strict=True)}
    return found


def same_weights(before: Mapping[str, Any], layout_before: Layout, after: Signature, layout_after: Layout) -> bool:
    """Whether arrays that are stored in two ways are those of the same weights, by name, shape and dtype.

    Args:
        before: arrays, or what has their shape and dtype, by dotted path.
        layout_before: how these are stored.
        after: shapes and dtypes of what is wanted.
        layout_after: how that is stored.
    """
    wanted = [_slices(name, leaf, layout_after) for name, leaf in after.items()]
    needed = {name: slices.form for slices in wanted for name in slices.names}
    return needed == {name: form for name, (_, _, form) in _places(before, layout_before).items()}


def restored(
    before: Mapping[str, Any], layout_before: Layout, after: Signature, layout_after: Layout
) -> dict[str, Any]:
    """Arrays by dotted path as another program stores them; they must be of the :func:`same_weights`."""
    places = _places(before, layout_before)
    found: dict[str, Any] = {}
    for name, leaf in after.items():
        slices = _slices(name, leaf, layout_after)
        found[name] = _joined([before[places[each][0]][places[each][1]] for each in slices.names], slices)
    return found


def _joined(parts: list[Any], slices: _Slices) -> Any:
    if not slices.stack:
        return parts[0]
    return np.reshape(np.stack(parts), (*slices.stack, *slices.form[0]))


def read_layout(facts: Mapping[str, Any]) -> Layout:
    """The layout that a seal records; {} in those that are older than that."""
    return cast("Layout", facts.get("layout") or {})
