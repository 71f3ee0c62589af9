"""What a manifest says of a weight, an input or an output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir import Value
from ..ir.parameters import BoundParameter
from ..ir.patterns import matched
from ..types import TensorType
from .dtypes import exact
from .initial import sizes_of
from .mesh import split_of
from .recipe import EmitRecipe


def weight(bound: BoundParameter, recipe: EmitRecipe | None) -> dict[str, Any]:
    """The entry of a weight or state; shape, dims and spec are those of one slice of a stack.

    `names` are those of all slices, in the order of their indices, where they have names of their own.
    """
    parameter = bound.parameter
    rules: Mapping[str, tuple[str, ...]] = recipe.rules if recipe and recipe.mesh else {}
    frozen = matched(recipe.freeze, bound) if recipe else False
    return {
        "path": bound.name,
        "key": list(bound.path),
        "stack": list(bound.stack),
        **({"names": list(bound.names.values())} if any(stack.names for stack in bound.stacks) else {}),
        "shape": list(sizes_of(bound)[len(bound.stack) :]),
        "dtype": exact(parameter.type.dtype).name,
        "dims": _dims(parameter.type),
        "initializer": str(parameter.initializer),
        "spec": split_of(parameter.type.axes, rules),
        "trainable": parameter.trainable and not frozen,
    }


def value(value: Value, name: str) -> dict[str, Any]:
    """The entry of an input, an output or a field of a batch; a symbolic size is None."""
    return {
        "name": name,
        "dtype": exact(value.type.dtype).name,
        "dims": _dims(value.type),
        "shape": [size.value for size in value.type.sizes],
    }


def _dims(type_: TensorType) -> list[str | None]:
    return [axis.public_name for axis in type_.axes]
