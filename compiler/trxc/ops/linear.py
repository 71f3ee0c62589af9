"""Products: `matmul` (`@`) and `einsum`.

A product with a weight is written over collapsed leading dims: the gradient of the weight is then one product of two
matrices, where from operands of three dims it runs at a third of the speed on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, dim, product
from ..types import Axis, TensorType, promote
from .arrays import Array, NumpyFunction, np
from .contraction import ELLIPSIS, MatrixProduct, expand_pattern, find_product, line_up, parse_pattern
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
    broadcast_axes,
)


def _samples(*shapes: tuple[int, ...]) -> tuple[Sample, ...]:
    return tuple(Sample(shape) for shape in shapes)


class Matmul(OpDefinition):
    """`x @ w`: the last axis of `x` contracted with the last but one of `w` (the only one, if `w` is a vector).

    Axes before those are batches and broadcast. As NumPy's `matmul`; neither may be a scalar.
    """

    name = "matmul"
    product = True
    slots = (Operand("x", "number"), Operand("w", "number"))
    examples = (
        Example(_samples((2, 3), (3, 4))),
        Example(_samples((3,), (3,))),
        Example(_samples((3,), (3, 4))),
        Example(_samples((2, 3), (3,))),
        Example(_samples((2, 5, 3), (3, 4))),
        Example(_samples((2, 1, 5, 3), (3, 4))),
        Example(_samples((2, 5, 3), (3,))),
        Example(_samples((3,), (2, 3, 4))),
        Example(_samples((2, 5, 3), (2, 3, 4))),
        Example(_samples((2, 1, 5, 3), (6, 3, 4))),
        Example((Sample((2, 3), "int", -3, 4), Sample((3, 4), "int", -3, 4))),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The broadcast batches, then the rows of `x` and the columns of `w` that there are."""
        x, w = use.operands
        for index, operand in enumerate(use.operands):
            if operand.rank == 0:
                helps = ["`*` multiplies by a number"]
                raise TypeFault(
                    "TRX0205", "`@` needs an axis on both sides", operand=index, label="is a number", helps=helps
                )
        inner, across = x.axes[-1], w.axes[max(0, w.rank - 2)]
        if inner.size != across.size:
            raise _does_not_fit(x, w, inner, across)
        columns = w.axes[-1:] if w.rank > 1 else ()
        return (TensorType(promote(x.dtype, w.dtype), (*_batches(x, w), *x.axes[-2:-1], *columns)),)

    def flops(self, use: Instance) -> Dim:
        """A multiplication and an addition for each contracted element of each of the result."""
        return use.result.elements * use.operands[0].axes[-1].size * 2

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Rows of `x`, columns of `w` and batches stay; what is contracted does not."""
        x, w = use.operands
        here = use.operands[operand]
        if axis == (x.rank - 1 if operand == 0 else max(0, w.rank - 2)):
            return None
        if here.rank > 1 and axis >= here.rank - 2:
            return Along(use.result.rank - 1 if operand else use.result.rank - 1 - (w.rank > 1))
        at = use.result.rank - (x.rank > 1) - (w.rank > 1) - (here.rank - 2) + axis
        return Along(at) if here.sizes[axis] == use.result.sizes[at] else None

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`linear` (of the prelude) for a batch of rows times a matrix, else `jnp.matmul`."""
        x, w = use.operands
        function = scope.prelude("linear") if x.rank > 2 and w.rank == 2 else "jnp.matmul"
        return f"{function}({operands[0]}, {operands[1]})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.matmul`."""
        return np.asarray(np.matmul(operands[0], operands[1]))


def _batches(x: TensorType, w: TensorType) -> tuple[Axis, ...]:
    """The broadcast axes before the matrices; a clash is shown with the whole types."""
    try:
        return broadcast_axes((x.with_axes(x.axes[:-2]), w.with_axes(w.axes[:-2])))
    except TypeFault as fault:
        raise TypeFault(
            fault.code, f"the batches of `@` do not line up: {fault.message}",
            operand=1, label=f"is {w.show()}", labels=[(0, f"is {x.show()}")],
        ) from None  # fmt: skip


def _does_not_fit(x: TensorType, w: TensorType, inner: Axis, across: Axis) -> TypeFault:
    named = inner.public_name is not None and inner.public_name == across.public_name
    what = (
        f"dim `{inner.public_name}` is {inner.size} here and {across.size} there"
        if named
        else (f"`@` cannot contract {inner.label} with {across.label}")
    )
    turned = w.rank == 2 and w.axes[-1].size == inner.size
    helps = ['the right side fits the other way round: einsum("... i, o i -> ... o", x, w)'] if turned else []
    labels = [(0, f"is {x.show()}, of which the last is contracted")]
    return TypeFault("TRX0204", what, operand=1, label=f"is {w.show()}", labels=labels, helps=helps)


class Einsum(OpDefinition):
    """`einsum("b s d, d h e -> b s h e", x, w)`: products summed over every name that the result does not have.

    Names are apart by spaces and of any length. One name is one size. `...` stands for any axes, which broadcast. A
    name twice in a term takes the diagonal.
    """

    name = "einsum"
    product = True
    slots = (Setting("pattern", "string"), Operand("operands", "number", variadic=True))
    examples = (
        Example(_samples((2, 3, 4), (4, 2, 5)), {"pattern": "b s d, d h e -> b s h e"}),
        Example(_samples((2, 3, 2, 5), (2, 5, 4)), {"pattern": "b s h e, h e d -> b s d"}),
        Example(_samples((2, 3, 4), (4, 2, 5)), {"pattern": "b s d, d h e -> b h s e"}),
        Example(_samples((2, 3, 4), (5, 4)), {"pattern": "batch seq embed, vocab embed -> batch seq vocab"}),
        Example(_samples((5, 4), (2, 3, 4)), {"pattern": "o i, ... i -> ... o"}),
        Example(_samples((2, 3, 4, 5), (5, 3, 4)), {"pattern": "b s h e, e x h -> b s x"}),
        Example(_samples((2, 3, 4), (4, 5)), {"pattern": "... d, d h -> ... h"}),
        Example(_samples((2, 4, 3), (4, 5)), {"pattern": "b d s, d e -> b s e"}),
        Example(_samples((2, 3, 2, 4), (2, 5, 2, 4)), {"pattern": "b s h e, b t h e -> b h s t"}),
        Example(_samples((2, 1, 3, 4), (5, 4, 2)), {"pattern": "... i j, ... j k -> ... i k"}),
        Example(_samples((3, 4), (4, 2)), {"pattern": "i j, j k -> k i"}),
        Example(_samples((3,), (4,)), {"pattern": "i, j -> i j"}),
        Example(_samples((3,), (3,)), {"pattern": "i, i ->"}),
        Example(_samples((2, 3, 4)), {"pattern": "b h w -> w b"}),
        Example(_samples((3, 3)), {"pattern": "i i -> i"}),
        Example(_samples((2, 3), (3, 4), (4, 2)), {"pattern": "a b, b c, c d -> a d"}),
        Example((Sample((2, 3, 4), "int", -3, 4), Sample((4, 5), "int", -3, 4)), {"pattern": "a b c, c d -> a b d"}),
    )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes that the result names, each with the name of the first operand's that has one."""
        pattern = parse_pattern(use.attributes.text("pattern"), len(use.operands))
        expanded = expand_pattern(pattern, use.operands)
        axes = line_up(expanded, use.operands)
        dtype = use.operands[0].dtype
        for operand in use.operands[1:]:
            dtype = promote(dtype, operand.dtype)
        return (TensorType(dtype, tuple(axes[name] for name in expanded.result)),)

    def flops(self, use: Instance) -> Dim:
        """Operands are taken in one after the other: 2 for each element of the joint axes of what is there so far."""
        pattern = expand_pattern(parse_pattern(use.attributes.text("pattern"), len(use.operands)), use.operands)
        sizes = {name: axis.size for name, axis in line_up(pattern, use.operands).items()}
        if len(pattern.terms) == 1:
            return use.operands[0].elements
        total, held = dim(0), set(pattern.terms[0])
        for index, term in enumerate(pattern.terms[1:], start=2):
            joint = held | set(term)
            total = total + product(sizes[name] for name in joint) * 2
            held = joint & {name for later in (*pattern.terms[index:], pattern.result) for name in later}
        return total

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """A name that is in the result, and once in its term."""
        pattern = expand_pattern(parse_pattern(use.attributes.text("pattern"), len(use.operands)), use.operands)
        name = pattern.terms[operand][axis]
        if name not in pattern.result or pattern.terms[operand].count(name) > 1:
            return None
        at = pattern.result.index(name)
        return Along(at) if use.operands[operand].sizes[axis] == use.result.sizes[at] else None

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """One product of matrices over collapsed dims where the pattern is one, else `jnp.einsum`."""
        pattern = parse_pattern(use.attributes.text("pattern"), len(use.operands))
        found = find_product(expand_pattern(pattern, use.operands))
        if found is not None:
            return _product_text(found, use, operands, scope)
        return f'jnp.einsum("{pattern.compact}", {", ".join(operands)})'

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.einsum`, by numbers of axes."""
        pattern = parse_pattern(use.attributes.text("pattern"), len(use.operands))
        numbers = {name: Ellipsis if name == ELLIPSIS else at for at, name in enumerate(pattern.names)}
        arguments: list[object] = []
        for x, term in zip(operands, pattern.terms, strict=True):
            arguments += [x, [numbers[name] for name in term]]
        numpy_einsum: NumpyFunction = np.einsum  # its annotations do not know axes by number
        return np.asarray(numpy_einsum(*arguments, [numbers[name] for name in pattern.result]))


def _product_text(found: MatrixProduct, use: Instance, operands: Sequence[str], scope: Scope) -> str:
    x, w, rank = operands[found.x], operands[found.w], use.operands[found.w].rank
    if list(found.w_order) != sorted(found.w_order):
        w = f"{w}.T" if rank == 2 else f"jnp.transpose({w}, {found.w_order})"
    if rank == 2 and found.inner == 1:
        text = f"{scope.prelude('linear')}({x}, {w})"
    else:
        axes = f", axes={found.inner}" if found.inner > 1 else ""
        text = f"{scope.prelude('contract')}({x}, {w}{axes})"
    return f"jnp.transpose({text}, {found.order})" if list(found.order) != sorted(found.order) else text


OPS: tuple[OpDefinition, ...] = (Matmul(), Einsum())
