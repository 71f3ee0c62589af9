"""Ops that join tensors and part them: the numbers stay."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import dim
from ..types import TensorType, axis
from .arrays import Array, np
from .definition import (
    Along,
    Environment,
    Example,
    Instance,
    OpDefinition,
    Operand,
    Sample,
    Scope,
    Setting,
    TypeFault,
)
from .movement import Movement, agreed_axes, axis_number, joined_dtype, not_divisible, resolved

MAX_PARTS = 1024


class Concat(Movement):
    """`concat([x, y], along = -1)`: one after the other along a dim; all other dims agree.

    The dim that grows loses its name, unless its new size is just a name's; the others keep theirs.
    """

    name = "concat"
    slots = (Operand("tensors", variadic=True), Setting("along", "axis", -1))
    examples = (
        Example((Sample((2, 3)), Sample((2, 2))), {"along": 1}),
        Example((Sample((1, 3)), Sample((2, 3)), Sample((3, 3))), {"along": 0}),
        Example((Sample((2, 3)),), {"along": 1}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes that all have, with the sum of sizes at `along`."""
        types, along = use.operands, use.attributes.axis("along")
        axes = list(agreed_axes(self.name, types, along))
        if len(types) > 1:
            axes[along] = axis(sum((t.axes[along].size for t in types), dim(0)))
        return (joined_dtype(types).with_axes(axes),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that grows."""
        return None if axis == use.attributes.axis("along") else Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.concatenate`."""
        along = axis_number(use.attributes.axis("along"), use.operands[0].rank)
        return f"jnp.concatenate([{', '.join(operands)}], axis={along})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.concatenate`."""
        return np.concatenate(operands, axis=use.attributes.axis("along"))


class Stack(Movement):
    """`stack([x, y], along = 0)`: equal shapes side by side, along a new dim at place `along` of the result."""

    name = "stack"
    slots = (Operand("tensors", variadic=True), Setting("along", "int", 0))
    examples = (
        Example((Sample((2, 3)), Sample((2, 3))), {"along": 0}),
        Example((Sample((2, 3)), Sample((2, 3)), Sample((2, 3))), {"along": -1}),
        Example((Sample(()), Sample(())), {"along": 0}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes that all have, and a new one as long as the list."""
        axes = list(agreed_axes(self.name, use.operands))
        axes.insert(self._place(use), axis(len(use.operands)))
        return (joined_dtype(use.operands).with_axes(axes),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """All axes, those after the new one a place further."""
        return Along(axis + (axis >= self._place(use)))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.stack`."""
        along = axis_number(self._place(use), use.operands[0].rank + 1)
        return f"jnp.stack([{', '.join(operands)}], axis={along})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.stack`."""
        return np.stack(operands, axis=self._place(use))

    def _place(self, use: Instance) -> int:
        x = use.operands[0]
        return resolved(use.attributes.int_("along"), x.rank + 1, self.name, x)


class Split(Movement):
    """`a, b = split(x, 2, along = -1)`: that many equal parts of a dim, in order."""

    name = "split"
    slots = (Operand("x"), Setting("parts", "int"), Setting("along", "axis", -1))
    examples = (
        Example((Sample((2, 6)),), {"parts": 3, "along": 1}),
        Example((Sample((4, 3)),), {"parts": 2, "along": 0}),
        Example((Sample((4, 3)),), {"parts": 1, "along": 1}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """`parts` times the operand's axes with `along` that much shorter."""
        (x,), parts, along = use.operands, use.attributes.int_("parts"), use.attributes.axis("along")
        if not 1 <= parts <= MAX_PARTS:
            raise TypeFault("TRX0405", f"`split` makes 1 to {MAX_PARTS} parts, not {parts}")
        if parts == 1:
            return (x,)
        whole = x.axes[along].size
        if not use.divides(whole, dim(parts)):
            raise not_divisible(x, along, dim(parts), f"`split` into {parts} equal parts")
        part = axis(whole.divided_by(parts))
        return (x.with_axes((*x.axes[:along], part, *x.axes[along + 1 :])),) * parts

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that is parted."""
        return None if axis == use.attributes.axis("along") else Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.split`; the operand itself for one part."""
        parts = use.attributes.int_("parts")
        along = axis_number(use.attributes.axis("along"), use.operands[0].rank)
        return operands[0] if parts == 1 else f"jnp.split({operands[0]}, {parts}, axis={along})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> tuple[Array, ...]:
        """`np.split`."""
        return tuple(np.split(operands[0], use.attributes.int_("parts"), axis=use.attributes.axis("along")))


OPS: tuple[OpDefinition, ...] = (Concat(), Stack(), Split())
