"""Ops that pick elements by place: slices, gathers, scatters, and the vectors that they are made of.

Indices count from 0. Reads outside the dim take its nearest element, writes outside it are dropped: on every
backend, for values and gradients alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, dim
from ..types import FLOAT, INT, Axis, TensorType, axis, promote
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
from .movement import Movement, axis_number, demand_inside, differ


def _from_end(place: Dim, size: Dim) -> Dim:
    """A place in a dim of `size` as one from its start: a negative number counts from the end."""
    return size + place if place.value is not None and place.value < 0 else place


class Slice(Movement):
    """`x[start:stop, ...]`: the elements from `start` up to, without, `stop` of each dim; negative: from the end.

    A whole dim keeps its name; one cut to `:n` takes the name `n`.
    """

    name = "slice"
    slots = (Operand("x"), Setting("starts", "sizes"), Setting("stops", "sizes"))
    examples = (
        Example(
            (Sample((4, 5)),),
            {"starts": ((dim(1), None), (dim(0), None)), "stops": ((dim(4), None), (dim(3), "keys"))},
        ),
        Example(
            (Sample((4, 5)),),
            {"starts": ((dim(0), None), (dim(-3), None)), "stops": ((dim(4), None), (dim(-1), None))},
        ),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes, cut."""
        (x,) = use.operands
        if any(len(use.attributes.sizes(bound)) != x.rank for bound in ("starts", "stops")):
            raise TypeFault("TRX0205", f"`slice` takes one range a dim of {x.show()}", operand=0, label="is cut")
        return (x.with_axes([self._cut(use, at) for at in range(x.rank)]),)

    def _cut(self, use: Instance, at: int) -> Axis:
        here, stop_name = use.operands[0].axes[at], use.attributes.sizes("stops")[at].name
        start, stop = self._range(use, at)
        if start == dim(0) and stop == here.size:
            return here
        text = f"the slice `{self._written(use, 'starts', at)}:{self._written(use, 'stops', at)}`"
        if start != dim(0):
            demand_inside(use, at, text, dim(0), start)
        demand_inside(use, at, text, start, stop, "ends before it starts in")
        demand_inside(use, at, text, stop, here.size)
        return axis(stop - start, stop_name if start == dim(0) else None)

    @staticmethod
    def _written(use: Instance, bound: str, at: int) -> str:
        place = use.attributes.sizes(bound)[at].size
        whole = dim(0) if bound == "starts" else use.operands[0].axes[at].size
        return "" if place == whole else str(place)

    @staticmethod
    def _range(use: Instance, at: int) -> tuple[Dim, Dim]:
        size = use.operands[0].axes[at].size
        starts, stops = use.attributes.sizes("starts"), use.attributes.sizes("stops")
        return _from_end(starts[at].size, size), _from_end(stops[at].size, size)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes that stay whole."""
        return Along(axis) if use.operands[0].sizes[axis] == use.result.sizes[axis] else None

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`x[:, 1:n]`; dims to the right that stay whole are not written."""
        items = [self._item(use, at, scope) for at in range(use.operands[0].rank)]
        while items and items[-1] == ":":
            items.pop()
        return f"{operands[0]}[{', '.join(items)}]" if items else operands[0]

    def _item(self, use: Instance, at: int, scope: Scope) -> str:
        size, (start, stop) = use.operands[0].axes[at].size, self._range(use, at)
        low = "" if start == dim(0) else _place_text(start, size, scope)
        return f"{low}:{'' if stop == size else _place_text(stop, size, scope)}"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """A NumPy slice."""
        ranges = [self._range(use, at) for at in range(operands[0].ndim)]
        return operands[0][tuple(slice(env.size(start), env.size(stop)) for start, stop in ranges)]


def _place_text(place: Dim, size: Dim, scope: Scope) -> str:
    """A place in a dim of `size`: a known distance from an end that is not known as a negative number."""
    back = (place - size).value
    return str(back) if place.value is None and back is not None and back < 0 else scope.size(place)


class TakeIndex(Movement):
    """`x[:, 2]`: the elements at one known place of a dim, without the dim; negative: from the end."""

    name = "take_index"
    slots = (Operand("x"), Setting("index", "size"), Setting("along", "axis", 0))
    examples = (
        Example((Sample((4, 5)),), {"index": (dim(2), None), "along": 0}),
        Example((Sample((4, 5)),), {"index": (dim(-1), None), "along": 1}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes without `along`."""
        (x,), along, place = use.operands, use.attributes.axis("along"), self._place(use)
        what = f"the index `{use.attributes.size('index').size}`"
        demand_inside(use, along, what, dim(0), place)
        demand_inside(use, along, what, place + 1, x.axes[along].size)
        return (x.with_axes((*x.axes[:along], *x.axes[along + 1 :])),)

    @staticmethod
    def _place(use: Instance) -> Dim:
        size = use.operands[0].axes[use.attributes.axis("along")].size
        return _from_end(use.attributes.size("index").size, size)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that is indexed."""
        along = use.attributes.axis("along")
        return None if axis == along else Along(axis - (axis > along))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`x[:, 2]`."""
        along = use.attributes.axis("along")
        size = use.operands[0].axes[along].size
        return f"{operands[0]}[{':, ' * along}{_place_text(self._place(use), size, scope)}]"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """A NumPy index."""
        return np.take(operands[0], env.size(self._place(use)), axis=use.attributes.axis("along"))


class Gather(Movement):
    """`gather(x, indices, along = 0)`, `x[indices]`: for each index, what `x` has there along a dim.

    The dims of `indices` stand where `along` stood; the dim that is looked up is gone. An index outside the dim reads
    its nearest element.
    """

    name = "gather"
    slots = (Operand("x"), Operand("indices", "int"), Setting("along", "axis", 0))
    examples = (
        Example((Sample((5, 3)), Sample((2, 4), "int", 0, 5)), {"along": 0}),
        Example((Sample((2, 5)), Sample((3,), "int", values=[-1, 4, 9])), {"along": 1}),
        Example((Sample((5, 3)), Sample((), "int", 0, 5)), {"along": 0}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes of `x` with those of `indices` at `along`."""
        (x, indices), along = use.operands, use.attributes.axis("along")
        return (x.with_axes((*x.axes[:along], *indices.axes, *x.axes[along + 1 :])),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes of the indices, and of `x` but for the one that is looked up."""
        along = use.attributes.axis("along")
        if operand:
            return Along(along + axis)
        return None if axis == along else Along(axis + (use.operands[1].rank - 1 if axis > along else 0))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.take`, whose gradient is a scatter-add."""
        along = axis_number(use.attributes.axis("along"), use.operands[0].rank)
        return f'jnp.take({operands[0]}, {operands[1]}, axis={along}, mode="clip")'

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.take`."""
        return np.take(operands[0], operands[1], axis=use.attributes.axis("along"), mode="clip")


class TakeAlong(Movement):
    """`take_along(x, indices, along = -1)`: at each place of `indices`, the element of `x` there with `along` replaced.

    Both have the same rank; all dims but `along` are equal or 1. An index outside the dim reads its nearest element.
    """

    name = "take_along"
    slots = (Operand("x"), Operand("indices", "int"), Setting("along", "axis", -1))
    examples = (
        Example((Sample((2, 5)), Sample((2, 3), "int", 0, 5)), {"along": 1}),
        Example((Sample((4, 3)), Sample((1, 3), "int", values=[[-1, 2, 7]])), {"along": 0}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The broadcast axes, with that of `indices` at `along`."""
        (x, indices), along = use.operands, use.attributes.axis("along")
        if x.rank != indices.rank:
            raise TypeFault(
                "TRX0205",
                f"`take_along` needs as many dims in both: {x.rank} here and {indices.rank} there",
                operand=1,
                label=f"is {indices.show()}",
                labels=[(0, f"is {x.show()}")],
            )
        axes = [self._aligned(use.operands, at) for at in range(x.rank) if at != along]
        return (x.with_axes((*axes[:along], indices.axes[along], *axes[along:])),)

    @staticmethod
    def _aligned(types: Sequence[TensorType], at: int) -> Axis:
        x, indices = types[0].axes[at], types[1].axes[at]
        if x.size != indices.size and 1 not in (x.size.value, indices.size.value):
            raise differ(types, 0, 1, at, "`take_along` lets dims differ only where it looks, or where one is 1")
        return indices if x.size.value == 1 or (x.name is None and x.size == indices.size) else x

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes of the indices, and of `x` but for the one that is looked up."""
        if operand == 0 and axis == use.attributes.axis("along"):
            return None
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.take_along_axis`, which would count negative indices from the end."""
        along = axis_number(use.attributes.axis("along"), use.operands[0].rank)
        return f'jnp.take_along_axis({operands[0]}, jnp.maximum({operands[1]}, 0), axis={along}, mode="clip")'

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.take_along_axis`."""
        (x, indices), along = operands, use.attributes.axis("along")
        return np.take_along_axis(x, np.clip(indices, 0, x.shape[along] - 1), axis=along)


class ScatterAdd(Movement):
    """`scatter_add(x, indices, updates)`: `x` with each update added to the row of its index.

    `x` is [n, rest], `indices` [where], `updates` [where, rest]. Updates of one row add up; those outside are dropped.
    """

    name = "scatter_add"
    slots = (Operand("x", "number"), Operand("indices", "int"), Operand("updates", "number"))
    examples = (
        Example((Sample((4, 3)), Sample((5,), "int", 0, 4), Sample((5, 3)))),
        Example((Sample((4,)), Sample((2, 2), "int", values=[[-1, 1], [1, 4]]), Sample((2, 2)))),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The type of `x`."""
        x, indices, updates = use.operands
        if x.rank == 0:
            raise TypeFault("TRX0205", "`scatter_add` adds to the rows of a dim", operand=0, label="has no dims")
        wanted = TensorType(updates.dtype, (*indices.axes, *x.axes[1:]))
        if not wanted.same_sizes(updates):
            raise TypeFault(
                "TRX0205" if wanted.rank != updates.rank else "TRX0204",
                f"`scatter_add` needs updates of {wanted.show()}, not {updates.show()}",
                operand=2,
                label=f"is {updates.show()}",
                labels=[(0, f"is {x.show()}"), (1, f"is {indices.show()}")],
            )
        if promote(x.dtype, updates.dtype).kind != x.dtype.kind:
            message = f"`scatter_add` cannot add {updates.dtype} to {x.dtype}"
            raise TypeFault("TRX0206", message, operand=2, label=f"is {updates}", labels=[(0, f"is {x}")])
        return (x,)

    def flops(self, use: Instance) -> Dim:
        """One an update."""
        return use.operands[2].elements

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`x.at[indices].add`."""
        x, indices, updates = operands
        return f'{x}.at[{indices}].add({updates}, mode="drop", wrap_negative_indices=False)'

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.add.at` over the indices that are inside."""
        x, indices, updates = operands
        inside = (indices >= 0) & (indices < x.shape[0])
        total = x.copy()
        np.add.at(total, indices[inside], updates[inside])
        return total


class OneHot(Movement):
    """`one_hot(x, size, dtype = float)`: a new last dim of `size` with 1 at each index and 0 elsewhere."""

    name = "one_hot"
    slots = (Operand("x", "int"), Setting("size", "size"), Setting("dtype", "dtype", FLOAT))
    differentiable = False
    examples = (
        Example((Sample((2, 3), "int", 0, 4),), {"size": (dim(4), "classes"), "dtype": FLOAT}),
        Example((Sample((3,), "int", values=[-1, 0, 2]),), {"size": (dim(2), None), "dtype": INT}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes and the new one."""
        (x,) = use.operands
        return (TensorType(use.attributes.dtype("dtype"), (*x.axes, _counted(use, "size", "one_hot"))),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """All axes."""
        return Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.nn.one_hot`."""
        dtype = scope.dtype(use.result.dtype)
        return f"jax.nn.one_hot({operands[0]}, {scope.size(use.result.sizes[-1])}, dtype={dtype})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """Each index compared with all places."""
        places = np.arange(env.size(use.attributes.size("size").size))
        return (operands[0][..., None] == places).astype(env.dtype(use.attributes.dtype("dtype")))


def _counted(use: Instance, name: str, op: str) -> Axis:
    given = use.attributes.size(name)
    if given.size.value is not None and given.size.value < 0:
        raise TypeFault("TRX0405", f"`{op}` takes a `{name}` of 0 or more, not {given.size}")
    return axis(given.size, given.name)


class Iota(Movement):
    """`iota(n)`: the ints 0, 1, … n - 1 along the dim `n`."""

    name = "iota"
    slots = (Setting("n", "size"),)
    differentiable = False
    examples = (Example((), {"n": (dim(5), "seq")}),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """`int[n]`."""
        return (TensorType(INT, (_counted(use, "n", "iota"),)),)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.arange`."""
        return f"jnp.arange({scope.size(use.result.sizes[0])}, dtype={scope.dtype(use.result.dtype)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.arange`."""
        return np.arange(env.size(use.attributes.size("n").size), dtype=env.dtype(INT))


OPS: tuple[OpDefinition, ...] = (
    Slice(),
    TakeIndex(),
    Gather(),
    TakeAlong(),
    ScatterAdd(),
    OneHot(),
    Iota(),
)
