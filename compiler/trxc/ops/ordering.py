"""Ops that put dims, or the elements along one, into another order."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import dim
from ..types import INT, TensorType, axis
from .arrays import Array, np
from .definition import Along, Environment, Example, Instance, OpDefinition, Operand, Sample, Scope, Setting, TypeFault
from .movement import Movement, axis_number, demand_inside, named


class Transpose(Movement):
    """`transpose(x, [2, 0, 1])`, `transpose(x, [keys, batch])`: the dims in another order; each is named once."""

    name = "transpose"
    slots = (Operand("x"), Setting("order", "order"))
    examples = (
        Example((Sample((2, 3, 4)),), {"order": (2, 0, 1)}),
        Example((Sample((2, 3)),), {"order": (1, 0)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes, in order."""
        (x,), order = use.operands, use.attributes.axes("order")
        if sorted(order) != list(range(x.rank)):
            missing = [named(x, at) for at in range(x.rank) if at not in order]
            what = f"leaves out {', '.join(missing)}" if missing else "names a dim twice"
            message = f"`transpose` orders all dims, each once: {list(order)} {what}"
            raise TypeFault("TRX0405", message, operand=0, label=f"is {x.show()}")
        return (x.with_axes([x.axes[at] for at in order]),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Each axis in its new place."""
        return Along(use.attributes.axes("order").index(axis))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.transpose`."""
        return f"jnp.transpose({operands[0]}, {use.attributes.axes('order')})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.transpose`."""
        return np.transpose(operands[0], use.attributes.axes("order"))


class Swap(Movement):
    """`swap(x, first, second)`: these two dims exchanged."""

    name = "swap"
    slots = (Operand("x"), Setting("first", "axis"), Setting("second", "axis"))
    examples = (
        Example((Sample((2, 3, 4)),), {"first": 0, "second": 2}),
        Example((Sample((2, 3)),), {"first": 1, "second": 1}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes, two of them exchanged."""
        (x,), first, second = use.operands, use.attributes.axis("first"), use.attributes.axis("second")
        axes = list(x.axes)
        axes[first], axes[second] = axes[second], axes[first]
        return (x.with_axes(axes),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Each axis in its new place."""
        first, second = use.attributes.axis("first"), use.attributes.axis("second")
        return Along({first: second, second: first}.get(axis, axis))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.swapaxes`."""
        first, second = use.attributes.axis("first"), use.attributes.axis("second")
        return f"jnp.swapaxes({operands[0]}, {first}, {second})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.swapaxes`."""
        return np.swapaxes(operands[0], use.attributes.axis("first"), use.attributes.axis("second"))


def apart(use: Instance, axis: int) -> Along | None:
    """An axis along which nothing moves."""
    over = use.attributes["over"]
    return None if axis == over or (isinstance(over, tuple) and axis in over) else Along(axis)


class _Along(Movement):
    """The elements along dims in another order: the type stays."""

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's type."""
        return (use.operands[0],)


class Reverse(_Along):
    """`reverse(x, over)`: back to front along these dims."""

    name = "reverse"
    slots = (Operand("x"), Setting("over", "axes"))
    examples = (Example((Sample((2, 3)),), {"over": (1,)}), Example((Sample((2, 3)),), {"over": (0, 1)}))

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than those in `over`."""
        return apart(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.flip`."""
        over = use.attributes.axes("over")
        axes = axis_number(over[0], use.operands[0].rank) if len(over) == 1 else over
        return f"jnp.flip({operands[0]}, axis={axes})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.flip`."""
        return np.flip(operands[0], axis=use.attributes.axes("over"))


class Roll(_Along):
    """`roll(x, shift, over = -1)`: each element `shift` places further along a dim, around its end."""

    name = "roll"
    slots = (Operand("x"), Setting("shift", "int"), Setting("over", "axis", -1))
    examples = (
        Example((Sample((2, 5)),), {"shift": 2, "over": 1}),
        Example((Sample((4, 2)),), {"shift": -1, "over": 0}),
    )

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than those in `over`."""
        return apart(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.roll`."""
        over = axis_number(use.attributes.axis("over"), use.operands[0].rank)
        return f"jnp.roll({operands[0]}, {use.attributes.int_('shift')}, axis={over})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.roll`."""
        return np.roll(operands[0], use.attributes.int_("shift"), axis=use.attributes.axis("over"))


def _order_text(use: Instance) -> str:
    over = axis_number(use.attributes.axis("over"), use.operands[0].rank)
    return f"axis={over}{', descending=True' if use.attributes.flag('descending') else ''}"


def _order(x: Array, over: int, descending: bool) -> Array:
    """The stable order of `x` along an axis: of equal elements, the first comes first, either way."""
    if not descending:
        return np.argsort(x, axis=over, kind="stable")
    backward = np.flip(np.argsort(np.flip(x, over), axis=over, kind="stable"), over)
    return x.shape[over] - 1 - backward


_SORTED = (
    Example((Sample((3, 4), distinct=True),), {"over": 1, "descending": False}),
    Example((Sample((3, 4), distinct=True),), {"over": 0, "descending": True}),
    Example((Sample((6,), "int", 0, 3),), {"over": 0, "descending": True}),
)


class Sort(_Along):
    """`sort(x, over = -1, descending = false)`: the elements along a dim from the smallest to the largest."""

    name = "sort"
    slots = (Operand("x", "number"), Setting("over", "axis", -1), Setting("descending", "bool", False))
    examples = _SORTED

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than those in `over`."""
        return apart(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.sort`."""
        return f"jnp.sort({operands[0]}, {_order_text(use)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.sort`."""
        over = use.attributes.axis("over")
        return np.take_along_axis(operands[0], _order(operands[0], over, use.attributes.flag("descending")), over)


class Argsort(Movement):
    """`argsort(x, over = -1, descending = false)`: the places along a dim that sort it; equal elements keep theirs."""

    name = "argsort"
    slots = (Operand("x", "number"), Setting("over", "axis", -1), Setting("descending", "bool", False))
    differentiable = False
    examples = _SORTED

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes, of ints."""
        return (use.operands[0].with_dtype(INT),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that is sorted."""
        return apart(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.argsort`."""
        return f"jnp.argsort({operands[0]}, {_order_text(use)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.argsort`."""
        return _order(operands[0], use.attributes.axis("over"), use.attributes.flag("descending"))


class TopK(Movement):
    """`values, indices = top_k(x, k, over = -1)`: the `k` largest along a dim, largest first, and where they stand."""

    name = "top_k"
    slots = (Operand("x", "number"), Setting("k", "size"), Setting("over", "axis", -1))
    examples = (
        Example((Sample((3, 5), distinct=True),), {"k": (dim(2), "chosen"), "over": 1}),
        Example((Sample((5, 3), distinct=True),), {"k": (dim(3), None), "over": 0}),
        Example((Sample((6,), "int", 0, 3),), {"k": (dim(4), None), "over": 0}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """Twice the operand's axes with `k` at `over`: its dtype, then ints."""
        (x,), k, over = use.operands, use.attributes.size("k"), use.attributes.axis("over")
        if k.size.value is not None and k.size.value < 1:
            raise TypeFault("TRX0405", f"`top_k` takes a `k` of 1 or more, not {k.size}")
        demand_inside(use, over, f"`top_k` of {k.label}", k.size, x.axes[over].size)
        values = x.with_axes((*x.axes[:over], axis(k.size, k.name), *x.axes[over + 1 :]))
        return values, values.with_dtype(INT)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that is sorted."""
        return apart(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.lax.top_k`."""
        over = axis_number(use.attributes.axis("over"), use.operands[0].rank)
        place = "" if over == -1 or use.operands[0].rank == 1 else f", axis={over}"
        return f"jax.lax.top_k({operands[0]}, {scope.size(use.attributes.size('k').size)}{place})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> tuple[Array, ...]:
        """The first `k` of a descending sort."""
        x, over = operands[0], use.attributes.axis("over")
        order = np.take(_order(x, over, descending=True), range(env.size(use.attributes.size("k").size)), axis=over)
        return np.take_along_axis(x, order, over), order


OPS: tuple[OpDefinition, ...] = (
    Transpose(),
    Swap(),
    Reverse(),
    Roll(),
    Sort(),
    Argsort(),
    TopK(),
)
