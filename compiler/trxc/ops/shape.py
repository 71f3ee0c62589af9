"""Ops that reshape: the numbers stay, the axes around them change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..dims import Dim, dim, product
from ..types import Axis, TensorType, axis
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
    aligned,
)
from .movement import (
    Movement,
    axis_number,
    factor,
    named,
    reshape_text,
    resolved,
    shape_text,
    shown,
    sized,
)
from .reductions import remaining


class ExpandDims(Movement):
    """`expand_dims(x, at)`, `x[:, none]`: a new dim of size 1 at place `at` of the result."""

    name = "expand_dims"
    slots = (Operand("x"), Setting("at", "int"))
    examples = (Example((Sample((2, 3)),), {"at": 1}), Example((Sample((2, 3)),), {"at": -1}))

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes and the new one."""
        (x,), at = use.operands, self._place(use)
        return (x.with_axes((*x.axes[:at], axis(1), *x.axes[at:])),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """All axes, those after the new one a place further."""
        return Along(axis + (axis >= self._place(use)))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`x[:, None]`, `x[..., None]`."""
        place, rank = self._place(use), use.operands[0].rank
        return f"{operands[0]}[{'..., ' if place == rank and rank > 1 else ':, ' * place}None]"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.expand_dims`."""
        return np.expand_dims(operands[0], self._place(use))

    def _place(self, use: Instance) -> int:
        x = use.operands[0]
        return resolved(use.attributes.int_("at"), x.rank + 1, self.name, x)


class Squeeze(Movement):
    """`squeeze(x, over)`: without these dims, each of size 1."""

    name = "squeeze"
    slots = (Operand("x"), Setting("over", "axes"))
    examples = (
        Example((Sample((2, 1, 3)),), {"over": (1,)}),
        Example((Sample((1, 2, 1)),), {"over": (0, 2)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes that remain."""
        (x,), over = use.operands, use.attributes.axes("over")
        for at in over:
            if x.axes[at].size.value != 1:
                message = f"`squeeze` takes away dims of size 1: {sized(x, at)}"
                raise TypeFault("TRX0204", message, operand=0, label=f"is {x.show()}")
        return (x.with_axes([a for at, a in enumerate(x.axes) if at not in over]),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """All axes that remain."""
        return remaining(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.squeeze`."""
        over = use.attributes.axes("over")
        axes = axis_number(over[0], use.operands[0].rank) if len(over) == 1 else over
        return f"jnp.squeeze({operands[0]}, axis={axes})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.squeeze`."""
        return np.squeeze(operands[0], axis=use.attributes.axes("over"))


class Pad(Movement):
    """`pad(x, before, after, value = 0)`: so many elements of `value` before and after each dim.

    `before` and `after` are one int for all dims, or a list with one a dim. A dim that grows loses its name.
    """

    name = "pad"
    slots = (Operand("x"), Setting("before", "ints"), Setting("after", "ints"), Setting("value", "number", 0))
    examples = (
        Example((Sample((2, 3)),), {"before": (0, 1), "after": (0, 2), "value": 0}),
        Example((Sample((2, 3)),), {"before": (1,), "after": (0,), "value": -1.5}),
        Example((Sample((2, 3), "int"),), {"before": (2, 0), "after": (0, 0), "value": 7}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes, grown."""
        (x,), (before, after) = use.operands, self._widths(use)
        value = use.attributes.number("value")
        if (x.dtype.kind == "int" and value != value // 1) or (x.dtype.kind == "bool" and value not in (0, 1)):
            message = f"`pad` cannot write `value` = {value} between elements of {x.dtype}"
            raise TypeFault("TRX0206", message, operand=0, label=f"is {x}")
        grown = [
            a if low == high == 0 else axis(a.size + low + high)
            for a, low, high in zip(x.axes, before, after, strict=True)
        ]
        return (x.with_axes(grown),)

    def _widths(self, use: Instance) -> tuple[tuple[int, ...], tuple[int, ...]]:
        before, after = (self._width(use, name) for name in ("before", "after"))
        return before, after

    @staticmethod
    def _width(use: Instance, name: str) -> tuple[int, ...]:
        x, given = use.operands[0], use.attributes.ints(name)
        if len(given) not in (1, x.rank):
            message = f"`pad` takes one `{name}` for all dims or one a dim: {len(given)} for {x.rank} dims"
            raise TypeFault("TRX0405", message, operand=0, label=f"is {x.show()}")
        if any(width < 0 for width in given):
            raise TypeFault("TRX0405", f"`pad` takes widths of 0 or more, not `{name}` = {list(given)}")
        return given if len(given) == x.rank else given * x.rank

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes that do not grow."""
        return Along(axis) if use.operands[0].sizes[axis] == use.result.sizes[axis] else None

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.pad`."""
        widths = ", ".join(f"({low}, {high})" for low, high in zip(*self._widths(use), strict=True))
        value = use.attributes.number("value")
        constant = f", constant_values={number_text(value)}" if value != 0 else ""
        return f"jnp.pad({operands[0]}, [{widths}]{constant})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.pad`."""
        widths = list(zip(*self._widths(use), strict=True))
        return np.pad(operands[0], widths, constant_values=use.attributes.number("value"))


def number_text(value: float | int) -> str:
    """A number as Python; infinity by its name in JAX."""
    if isinstance(value, float) and math.isinf(value):
        return "jnp.inf" if value > 0 else "-jnp.inf"
    return repr(value)


def kept_axis(use: Instance, axis: int) -> Along | None:
    """Where an axis is after a reshape that leaves it alone."""
    before, size = product(use.operands[0].sizes[:axis]), use.operands[0].sizes[axis]
    for at, other in enumerate(use.result.sizes):
        if other == size and product(use.result.sizes[:at]) == before:
            return Along(at)
    return None


class Reshape(Movement):
    """`reshape(x, [batch, seq, heads, head])`: the same numbers in row-major order; one size may be -1, the rest."""

    name = "reshape"
    slots = (Operand("x"), Setting("sizes", "sizes"))
    examples = (
        Example((Sample((2, 6)),), {"sizes": ((dim(2), None), (dim(3), "heads"), (dim(2), None))}),
        Example((Sample((2, 3, 4)),), {"sizes": ((dim(2), None), (dim(-1), None))}),
        Example((Sample((1, 1)),), {"sizes": ()}),
        Example((Sample(()),), {"sizes": ((dim(1), None),)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes that are asked for, if they hold as many elements."""
        (x,), axes = use.operands, list(use.attributes.sizes("sizes"))
        holes = [at for at, a in enumerate(axes) if a.size.value == -1]
        if len(holes) > 1 or any((a.size.value or 0) < -1 for a in axes):
            raise TypeFault("TRX0405", f"`reshape` takes sizes of 0 or more and at most one -1, not {shown(axes)}")
        if holes:
            axes[holes[0]] = self._rest(use, axes, holes[0])
        count = product(a.size for a in axes)
        if count != x.elements:
            raise self._counts_differ(x, axes, count)
        return (x.with_axes(axes),)

    def _rest(self, use: Instance, axes: Sequence[Axis], hole: int) -> Axis:
        x = use.operands[0]
        others = product(a.size for at, a in enumerate(axes) if at != hole)
        if others.value == 0:
            raise TypeFault("TRX0405", f"`reshape` cannot tell what -1 is in {shown(axes)}: another size is 0")
        if use.divides(x.elements, others):
            return axis(x.elements.divided_by(others), axes[hole].name)
        known = x.elements.value is not None and others.value is not None
        raise TypeFault(
            "TRX0210",
            f"`reshape` to {shown(axes)}: {x.elements} elements are not {'' if known else 'known to be '}"
            f"a multiple of {others}",
            operand=0,
            label=f"is {x.show()}",
            helps=() if known else [f"`require {factor(x.elements)} % {factor(others)} == 0`"],
            constraint=None if known else (x.elements, others),
        )

    @staticmethod
    def _counts_differ(x: TensorType, axes: Sequence[Axis], count: Dim) -> TypeFault:
        return TypeFault(
            "TRX0211",
            f"`reshape` keeps all elements: {x.show()} has {x.elements}, {shown(axes)} has {count}",
            operand=0,
            label=f"is {x.show()}",
            helps=["one size may be -1: what the others leave"] if len(axes) > 1 else (),
        )

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes with as many elements before them and the same size."""
        return kept_axis(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`reshape`."""
        return reshape_text(operands[0], use.operands[0].rank, use.result.sizes, scope)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.reshape`."""
        return np.reshape(operands[0], [env.size(size) for size in use.result.sizes])


class Flatten(Movement):
    """`flatten(x, first = 0, last = -1)`: the dims from `first` to `last` as one."""

    name = "flatten"
    slots = (Operand("x"), Setting("first", "axis", 0), Setting("last", "axis", -1))
    examples = (
        Example((Sample((2, 3, 4)),), {"first": 1, "last": 2}),
        Example((Sample((2, 3)),), {"first": 0, "last": 1}),
        Example((Sample((2, 3)),), {"first": 1, "last": 1}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes with those from `first` to `last` multiplied."""
        (x,), first, last = use.operands, use.attributes.axis("first"), use.attributes.axis("last")
        if first > last:
            message = f"`flatten` goes from {named(x, first)} back to {named(x, last)}: `first` is after `last`"
            raise TypeFault("TRX0405", message, operand=0, label=f"is {x.show()}")
        run = x.axes[first : last + 1]
        whole = run[0] if len(run) == 1 else axis(product(a.size for a in run))
        return (x.with_axes((*x.axes[:first], whole, *x.axes[last + 1 :])),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes that are not joined."""
        return kept_axis(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`reshape`; the operand itself if there is nothing to join."""
        if use.result.rank == use.operands[0].rank:
            return operands[0]
        return reshape_text(operands[0], use.operands[0].rank, use.result.sizes, scope)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.reshape`."""
        return np.reshape(operands[0], [env.size(size) for size in use.result.sizes])


class Broadcast(Movement):
    """`broadcast(x, [batch, seq, embed])`: `x` repeated to these sizes, aligned on the right as NumPy does."""

    name = "broadcast"
    slots = (Operand("x"), Setting("sizes", "sizes"))
    examples = (
        Example((Sample((3,)),), {"sizes": ((dim(2), "batch"), (dim(3), None))}),
        Example((Sample((2, 1)),), {"sizes": ((dim(2), None), (dim(4), None))}),
        Example((Sample(()),), {"sizes": ((dim(2), None),)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The sizes that are asked for; an axis without a name in them keeps the operand's."""
        (x,), axes = use.operands, list(use.attributes.sizes("sizes"))
        lead = len(axes) - x.rank
        if lead < 0:
            message = f"`broadcast` cannot take dims away: {x.show()} to {shown(axes)}"
            raise TypeFault("TRX0205", message, operand=0, label=f"has {x.rank} dims")
        for at, here in enumerate(x.axes):
            wanted = axes[lead + at]
            if here.size.value != 1 and here.size != wanted.size:
                message = f"`broadcast` repeats only dims of size 1: {sized(x, at)}, not {wanted.label}"
                raise TypeFault("TRX0204", message, operand=0, label=f"is {x.show()}")
            if here.size == wanted.size and wanted.name is None:
                axes[lead + at] = here
        return (x.with_axes(axes),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes that are not repeated."""
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.broadcast_to`."""
        return f"jnp.broadcast_to({operands[0]}, {shape_text(use.result.sizes, scope)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.broadcast_to`."""
        return np.broadcast_to(operands[0], [env.size(size) for size in use.result.sizes])


OPS: tuple[OpDefinition, ...] = (
    ExpandDims(),
    Squeeze(),
    Pad(),
    Reshape(),
    Flatten(),
    Broadcast(),
)
