"""Ops on what is kept from one part of a sequence to the next; decoding is made of them, users do not call them.

Places are read and written from a number on as XLA does: a start from which there is too little room is moved back
until there is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..dims import Dim, DimError, dim
from ..types import Axis, TensorType
from .arrays import Array, np, numpy_function
from .attention import Attention, optional_operands
from .definition import Along, Environment, Example, Instance, Operand, Sample, Scope, Setting, TypeFault
from .movement import Movement, axis_number

START = Sample((), "int", values=2)


def _places(start: Array, length: int, size: int, axis: int, rank: int) -> tuple[slice, ...]:
    first = min(max(int(start), 0), length - size)
    whole = [slice(None)] * rank
    whole[axis] = slice(first, first + size)
    return tuple(whole)


class ReadAt(Movement):
    """`read_at(x, start) {along, size}`: `size` places of a dim, from number `start` on."""

    name = "read_at"
    public = False
    slots = (Operand("x"), Operand("start", "int"), Setting("along", "axis"), Setting("size", "size"))
    examples = (
        Example((Sample((4, 5)), START), {"along": 1, "size": (dim(2), None)}),
        Example((Sample((4, 5)), START), {"along": 0, "size": (dim(3), None)}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes, one of them shorter."""
        x, start = use.operands
        _check_start(self.name, start)
        along = use.attributes.axis("along")
        return (x.with_axes((*x.axes[:along], use.attributes.size("size"), *x.axes[along + 1 :])),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that is read from."""
        return None if operand or axis == use.attributes.axis("along") else Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.lax.dynamic_slice_in_dim`."""
        along = axis_number(use.attributes.axis("along"), use.result.rank)
        size = scope.size(use.attributes.size("size").size)
        return f"jax.lax.dynamic_slice_in_dim({operands[0]}, {operands[1]}, {size}, axis={along})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """A NumPy slice."""
        (x, start), along = operands, use.attributes.axis("along")
        size = env.size(use.attributes.size("size").size)
        return x[_places(start, x.shape[along], size, along, x.ndim)]


class WriteAt(Movement):
    """`write_at(x, y, start) {along}`: `x` with `y` in the places of a dim from number `start` on."""

    name = "write_at"
    public = False
    differentiable = False
    slots = (Operand("x"), Operand("y"), Operand("start", "int"), Setting("along", "axis"))
    examples = (
        Example((Sample((4, 5)), Sample((4, 2)), START), {"along": 1}),
        Example((Sample((4, 5)), Sample((3, 5)), START), {"along": 0}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The type of `x`."""
        x, y, start = use.operands
        _check_start(self.name, start)
        along = use.attributes.axis("along")
        others = [at for at in range(x.rank) if at != along]
        if x.rank != y.rank or any(x.sizes[at] != y.sizes[at] for at in others) or x.dtype != y.dtype:
            raise TypeFault("TRX0204", f"`{self.name}` cannot put {y.show()} into {x.show()}", operand=1)
        return (x,)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Other axes than the one that is written to."""
        return None if operand == 2 or axis == use.attributes.axis("along") else Along(axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`write_at` or `write_ring` of the prelude."""
        return f"{scope.prelude(self.name)}({', '.join(operands)}, axis={use.attributes.axis('along')})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """A copy, and a NumPy slice of it set."""
        (x, y, start), along = operands, use.attributes.axis("along")
        written = x.copy()
        written[_places(start, x.shape[along], y.shape[along], along, x.ndim)] = y
        return written


class WriteRing(WriteAt):
    """`write_ring(x, y, start) {along}`: as `write_at`, in a ring of so many places as the dim of `x` has.

    Place *p* of the sequence is number *p* modulo their number; those that it takes the room of are forgotten. `y` has
    no more places than the ring.
    """

    name = "write_ring"
    examples = (
        Example((Sample((4, 5)), Sample((4, 2)), Sample((), "int", values=4)), {"along": 1}),
        Example((Sample((4, 5)), Sample((3, 5)), Sample((), "int", values=7)), {"along": 0}),
        Example((Sample((4, 5)), Sample((1, 5)), Sample((), "int", values=6)), {"along": 0}),
    )

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """A copy, and its places set one by one."""
        (x, y, start), along = operands, use.attributes.axis("along")
        written = np.moveaxis(x.copy(), along, 0)
        for at, place in enumerate(np.moveaxis(y, along, 0)):
            written[(int(start) + at) % x.shape[along]] = place
        return np.moveaxis(written, 0, along)


def _check_start(op: str, start: TensorType) -> None:
    if start.rank:
        raise TypeFault("TRX0205", f"`{op}` starts at one number, not at {start.show()}", operand=1)


Q, K, V = Sample((2, 2, 2, 3)), Sample((2, 1, 6, 3)), Sample((2, 1, 6, 4))
RULES = {"scale": 0.5, "causal": True, "window": None, "fill": float("-inf"), "masked": False, "biased": False}
RULES["ring"] = False


class ChunkAttention(Attention):
    """`attention` of the queries of a chunk to all keys that are kept, those of the chunk among them.

    q is [..lead, queries, heads, head] as in `attention`, k and v are [..lead, kv_heads, places, head]: what is read
    again for every chunk lies in one piece for each head. The dims before places may be one, of their product, since
    XLA's CPU compiler copies what a loop keeps with more than three dims. Operands: as of `attention`, then, if
    `causal`, the place `start` of the first query. Query i sees keys up to place start + i then, and with a `window`
    only the last so many of these. With `ring`, keys and values are kept in a ring, as `write_ring` leaves it after the
    chunk; it has room for a window before each query of the chunk.
    """

    name = "chunk_attention"
    differentiable = False
    slots = (*Attention.slots, Setting("ring", "bool"), Operand("start", "int", optional=True))
    examples = (
        Example((Q, K, V, START), RULES),
        Example((Q, K, V), {**RULES, "causal": False}),
        Example((Sample((2, 2, 4, 3)), Sample((4, 6, 3)), Sample((4, 6, 5)), START), RULES),
        Example((Q, K, V, START), {**RULES, "window": 4, "ring": True}),
        Example((Q, K, V, Sample((), "int", values=9)), {**RULES, "window": 3, "ring": True}),
        Example((Q, K, V, START), {**RULES, "window": 2}),
        Example((Q, K, V, Sample((1, 2, 6)), START), {**RULES, "biased": True}),
        Example(
            (Q, K, V, Sample((2, 1, 1, 6), "bool", values=[[[[True, False, True, True, True, True]]]] * 2), START),
            {**RULES, "masked": True, "fill": -6e4},
        ),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """As of `attention`."""
        if use.attributes.flag("causal"):
            _check_start(self.name, use.operands[-1])
        return super().infer(self._by_places(use))

    def flops(self, use: Instance) -> Dim:
        """As of `attention`."""
        return super().flops(self._by_places(use))

    def _by_places(self, use: Instance) -> Instance:
        """The use of `attention` that it stands for: keys and values with places before heads."""
        if any(x.rank < 3 for x in use.operands[:3]):
            return use
        q, *given = use.operands
        given[:2] = [_places_before_heads(q, x) for x in given[:2]]
        return replace(use, operands=(q, *given))

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`chunk_attention` of the prelude, with what is not as usual."""
        attributes = use.attributes
        mask, bias = optional_operands(use, operands)
        given = [*operands[:3], f"scale={attributes.number('scale')!r}"]
        given += [f"{name}={value}" for name, value in (("mask", mask), ("bias", bias)) if value]
        if attributes.flag("causal"):
            given.append(f"start={operands[-1]}")
        if attributes["window"] is not None:
            given.append(f"window={attributes.int_('window')}")
        if attributes.flag("ring"):
            given.append("ring=True")
        if mask and attributes.number("fill") != float("-inf"):
            given.append(f"fill={attributes.number('fill')!r}")
        return f"{scope.prelude(self.name)}({', '.join(given)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """By the definition of `attention`."""
        q, k, v, *rest = operands
        k, v = (np.swapaxes(x.reshape(*q.shape[:-3], -1, *x.shape[-2:]), -3, -2) for x in (k, v))
        return super().reference(use, [q, k, v, *rest], env)

    def seen(self, use: Instance, operands: Sequence[Array]) -> Array:
        """Which query may look at which key."""
        queries, keys = operands[0].shape[-3], operands[1].shape[-3]
        if not use.attributes.flag("causal"):
            return np.ones((queries, keys), np.bool_)
        arange = numpy_function("arange")  # its annotations leave the dtype open
        query: Array = arange(queries) + operands[-1]
        key: Array = arange(keys)
        if use.attributes.flag("ring"):
            last = query[-1]
            key = np.asarray(last - (last - key) % keys)  # the last place of that number
        age = np.asarray(np.reshape(query, (-1, 1)) - key)
        window = use.attributes["window"]
        limit = keys if window is None else use.attributes.int_("window")
        return np.asarray((age >= 0) & (age < limit) & (key >= 0), np.bool_)


def _places_before_heads(q: TensorType, x: TensorType) -> TensorType:
    """Keys or values as `attention` takes them."""
    heads, places, head = x.axes[-3:]
    lead = x.axes[:-3]
    if x.rank == 3 and q.rank > 3:
        lead = q.axes[:-3]
        count = TensorType(q.dtype, lead).elements
        try:
            heads = Axis(heads.size.divided_by(count), None)
        except DimError:
            message = f"{x.show()} holds no heads for each of {TensorType(q.dtype, lead).show()}"
            raise TypeFault("TRX0204", message, operand=1) from None
    return x.with_axes((*lead, places, heads, head))


OPS = (ReadAt(), WriteAt(), WriteRing(), ChunkAttention())
