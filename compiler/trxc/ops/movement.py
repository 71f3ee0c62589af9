"""What the ops that move data share: how they speak of dims, write axes and shapes, and refuse sizes."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, Symbol, dim
from ..types import Axis, TensorType, promote
from .definition import Instance, OpDefinition, Scope, TypeFault


class Movement(OpDefinition):
    """An op that moves numbers and computes none."""

    keeps = "nothing"

    def flops(self, use: Instance) -> Dim:
        """None."""
        return dim(0)


def named(x: TensorType, at: int) -> str:
    """How messages speak of one dim of `x`: its name if it has one, else its number."""
    return f"dim `{name}`" if (name := x.axes[at].public_name) else f"dim {at}"


def sized(x: TensorType, at: int) -> str:
    """How messages say what size one dim of `x` has; a name alone is no size."""
    here = x.axes[at]
    return f"{named(x, at)} is {'of unknown size' if str(here.size) == here.public_name else here.size}"


def axis_number(at: int, rank: int) -> int:
    """An axis as people write it: -1 for the last of several."""
    return -1 if at == rank - 1 and rank > 1 else at


def resolved(number: int, rank: int, what: str, x: TensorType) -> int:
    """An axis of a result of `rank` axes as a number from 0.

    Raises:
        TypeFault: there is no such axis.
    """
    if -rank <= number < rank:
        return number % rank
    raise TypeFault(
        "TRX0208",
        f"`{what}` has no place {number} for a new dim: they are {-rank} to {rank - 1}",
        operand=0,
        label=f"is {x.show()}",
    )


def differ(types: Sequence[TensorType], first: int, second: int, at: int, why: str) -> TypeFault:
    """The fault that dim `at` of two operands has two sizes, shown at both."""
    left, right = types[first].axes[at], types[second].axes[at]
    if left.public_name is not None and left.public_name == right.public_name:
        message = f"dim `{left.public_name}` is {left.size} here and {right.size} there"
    else:
        message = f"dims do not line up: {left.label} here and {right.label} there"
    return TypeFault(
        "TRX0204",
        message,
        operand=second,
        label=f"is {types[second].show()}",
        labels=[(first, f"is {types[first].show()}")],
        helps=[why],
    )


def not_divisible(x: TensorType, at: int, divisor: Dim, what: str) -> TypeFault:
    """The fault that `divisor` does not, or is not known to, divide dim `at` of `x`."""
    size = x.axes[at].size
    known = size.value is not None and divisor.value is not None
    reason = f"which {divisor} does not divide" if known else f"not known to be a multiple of {divisor}"
    return TypeFault(
        "TRX0210",
        f"{what}: {sized(x, at)}, {reason}",
        operand=0,
        label=f"is {x.show()}",
        helps=() if known else [f"`require {factor(size)} % {factor(divisor)} == 0`"],
        constraint=None if known else (size, divisor),
    )


def factor(size: Dim) -> str:
    """A size as the operand of `%` in a constraint."""
    return str(size) if size.symbol or size.value is not None else f"({size})"


def shown(axes: Sequence[Axis]) -> str:
    """Axes as messages show them: `[batch, seq, embed=384]`."""
    return f"[{', '.join(a.label for a in axes)}]"


def shape_text(sizes: Sequence[Dim], scope: Scope) -> str:
    """A shape as a Python tuple."""
    text = ", ".join(scope.size(size) for size in sizes)
    return f"({text},)" if len(sizes) == 1 else f"({text})"


def reshape_text(text: str, rank: int, sizes: Sequence[Dim], scope: Scope) -> str:
    """`text`, of `rank` axes, reshaped; a scalar may be a Python number, which has no methods."""
    if rank == 0:
        return f"jnp.reshape({text}, {shape_text(sizes, scope)})"
    return f"{text}.reshape({', '.join(scope.size(size) for size in sizes) or '()'})"


def agreed_axes(name: str, types: Sequence[TensorType], joined: int | None = None) -> tuple[Axis, ...]:
    """The axes that all have, but for `joined`; a name comes from the first that has one.

    Raises:
        TypeFault: there is none, or ranks or sizes differ.
    """
    if not types:
        raise TypeFault("TRX0205", f"`{name}` has nothing to join: its list is empty")
    axes = list(types[0].axes)
    for index, other in enumerate(types):
        if other.rank != len(axes):
            raise _rank_differs(name, types, index)
        for at, here in enumerate(other.axes):
            if at != joined and here.size != axes[at].size:
                rest = f"all dims but {named(types[0], joined)}" if joined is not None else "all dims"
                raise differ(types, 0, index, at, f"`{name}` joins tensors that agree in {rest}")
            if axes[at].name is None:
                axes[at] = here
    return tuple(axes)


def _rank_differs(name: str, types: Sequence[TensorType], index: int) -> TypeFault:
    return TypeFault(
        "TRX0205",
        f"`{name}` joins tensors of equal rank: {types[0].rank} dims here and {types[index].rank} there",
        operand=index,
        label=f"is {types[index].show()}",
        labels=[(0, f"is {types[0].show()}")],
    )


def joined_dtype(types: Sequence[TensorType]) -> TensorType:
    """A scalar type with the dtype that all promote to."""
    dtype = types[0].dtype
    for other in types[1:]:
        dtype = promote(dtype, other.dtype)
    return TensorType(dtype)


def demand_inside(use: Instance, at: int, what: str, low: Dim, high: Dim, problem: str = "reaches past") -> None:
    """Demands `low` <= `high` of places in dim `at` of operand 0, so that nothing is cut short at run time.

    A use that has results was typed with all facts at hand, and is only refused what is known to be wrong.

    Raises:
        TypeFault: it is not so, or (for sizes that a `require` can speak of) not known to be so.
    """
    x, gap = use.operands[0], high - low
    if use.facts.is_nonnegative(gap) or (gap.value is None and (use.results or not _plain(gap))):
        return
    if gap.value is not None or use.facts.is_nonnegative(-gap - 1):
        message, helps = f"{what} {problem} {named(x, at)}, which is {x.axes[at].size}", ()
    else:
        needed = f"{-_signed(gap, -1)} <= {_signed(gap, 1)}"
        message = f"{what} is not known to stay inside {named(x, at)}: that needs `{needed}`"
        helps = (f"`require {needed}`",)
    raise TypeFault("TRX0209", message, operand=0, label=f"is {x.show()}", helps=helps)


def _plain(size: Dim) -> bool:
    """Whether a size is made of symbols only, so that bounds on it can be stated and shown."""
    return all(isinstance(atom, Symbol) and power > 0 for monomial, _ in size.terms for atom, power in monomial)


def _signed(size: Dim, sign: int) -> Dim:
    return Dim(tuple((monomial, c) for monomial, c in size.terms if c * sign > 0))
