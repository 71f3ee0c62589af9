"""Tensors from nothing but numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, dim
from ..types import FLOAT, Axis, TensorType
from .arrays import Array, np
from .definition import Environment, Example, Instance, OpDefinition, Scope, Setting
from .shape import number_text


class Full(OpDefinition):
    """`full(sizes, value, dtype = float)`: a tensor of one number."""

    name = "full"
    slots = (Setting("sizes", "sizes"), Setting("value", "number", 0.0), Setting("dtype", "dtype", FLOAT))
    differentiable = False
    examples = (
        Example((), {"sizes": ((dim(2), None), (dim(3), "d")), "value": 1.5, "dtype": FLOAT}),
        Example((), {"sizes": (), "value": 0.0, "dtype": FLOAT}),
        Example((), {"sizes": ((dim(3), None),), "value": float("-inf"), "dtype": FLOAT}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The sizes, with their names."""
        sizes = use.attributes.sizes("sizes")
        return (TensorType(use.attributes.dtype("dtype"), tuple(Axis(a.size, a.name) for a in sizes)),)

    def flops(self, use: Instance) -> Dim:
        """None."""
        return dim(0)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.zeros`, `jnp.ones` or `jnp.full`."""
        value, dtype = use.attributes.number("value"), scope.dtype(use.attributes.dtype("dtype"))
        sizes = [scope.size(a.size) for a in use.attributes.sizes("sizes")]
        shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
        if value in (0, 1):
            return f"jnp.{'ones' if value else 'zeros'}({shape}, {dtype})"
        return f"jnp.full({shape}, {number_text(value)}, {dtype})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.full`."""
        shape = tuple(env.size(a.size) for a in use.attributes.sizes("sizes"))
        return np.full(shape, use.attributes.number("value"), env.dtype(use.attributes.dtype("dtype")))


OPS: tuple[OpDefinition, ...] = (Full(),)
