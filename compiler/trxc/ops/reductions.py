"""Reductions: ops that fold axes into one number, or into the place of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..dims import Dim
from ..types import FLOAT, INT, Axis, DType, TensorType, axis
from .arrays import Array, Reference, np, numpy_function
from .definition import (
    Along,
    Attributes,
    Environment,
    Example,
    Instance,
    Keeps,
    OpDefinition,
    Operand,
    OperandKind,
    Sample,
    Scope,
    Setting,
    TypeFault,
)

ALL = "all"
"""The default of `over` in reductions: every axis."""


def axis_text(axes: tuple[int, ...], rank: int) -> str:
    """Axes as JAX takes them: `-1` for just the last, an int for one, a tuple for several; nothing for all."""
    if axes == tuple(range(rank)):
        return ""
    if len(axes) == 1:
        return f", axis={-1 if axes[0] == rank - 1 else axes[0]}"
    return f", axis={axes}"


def check_axes(name: str, x: TensorType, axes: tuple[int, ...]) -> None:
    """Refuses axes that `x` does not have, and axes that are there twice.

    Raises:
        TypeFault: TRX0208, an axis is not there; TRX0405, an axis is named twice.
    """
    for at in axes:
        if not 0 <= at < x.rank:
            raise TypeFault(
                "TRX0208", f"`{name}` has no axis {at} to go over", operand=0, label=f"is {x.show()}",
                helps=["axes are counted from 0, or from -1 backwards"],
            )  # fmt: skip
    twice = next((at for at in axes if axes.count(at) > 1), None)
    if twice is not None:
        message = f"`{name}` names the axis {x.axes[twice].label} twice in `over`"
        raise TypeFault("TRX0405", message, operand=0, label=f"is {x.show()}")


def reduced_axes(x: TensorType, attributes: Attributes) -> tuple[Axis, ...]:
    """The axes of `x` after those in `over` are folded: gone, or (`keep`) of size 1."""
    over = attributes.axes("over")
    if attributes.flag("keep"):
        return tuple(axis(1) if at in over else a for at, a in enumerate(x.axes))
    return tuple(a for at, a in enumerate(x.axes) if at not in over)


def remaining(use: Instance, axis: int) -> Along | None:
    """Where an axis is once those in `over` are folded, or kept with size 1."""
    over = use.attributes["over"]
    over = over if isinstance(over, tuple) else (over,)
    if axis in over:
        return None
    return Along(axis if use.attributes.get("keep") else axis - sum(isinstance(at, int) and at < axis for at in over))


def total_dtype(dtype: DType) -> DType:
    """The dtype of sums and products: counts of bools and totals of narrow ints are ints of the usual width."""
    narrow = dtype.kind == "int" and 0 < dtype.bits < 32
    return INT if narrow or dtype.kind == "bool" else dtype


def mean_dtype(dtype: DType) -> DType:
    """The dtype of means: a float, whatever is averaged."""
    return dtype if dtype.kind == "float" else FLOAT


def same_dtype(dtype: DType) -> DType:
    """The dtype of what picks or folds its operand's elements as they are."""
    return dtype


def dtype_text(use: Instance, scope: Scope) -> str:
    """`, dtype=…` where the result has another dtype than the operand; a fold is computed in its result's."""
    given, result = use.operands[0].dtype, use.result.dtype
    return "" if given == result else f", dtype={scope.dtype(result)}"


class Reduction(OpDefinition):
    """Folds the axes `over` (all, if not given) into one number; `keep` leaves them there with size 1."""

    def __init__(
        self,
        name: str,
        text: str,
        function: Reference,
        samples: Sequence[Sample],
        *,
        doc: str,
        kind: OperandKind = "number",
        gives: Callable[[DType], DType] = same_dtype,
        differentiable: bool = True,
        cost: int = 1,
        keeps: Keeps = "operands",
    ) -> None:
        self.name, self.text, self.function, self.cost = name, text, function, cost
        self.__doc__ = doc
        self.keeps = keeps if differentiable else "nothing"
        self.gives, self.differentiable = gives, differentiable
        self.slots = (Operand("x", kind), Setting("over", "axes", ALL), Setting("keep", "bool", False))
        self.examples = tuple(
            Example((sample,), {"over": over, "keep": keep})
            for sample in samples
            for over, keep in (((1,), False), ((0, 1), False), ((0,), True))
        )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The axes that remain."""
        (x,) = use.operands
        check_axes(self.name, x, use.attributes.axes("over"))
        return (TensorType(self.gives(x.dtype), reduced_axes(x, use.attributes)),)

    def flops(self, use: Instance) -> Dim:
        """`cost` an element of the operand."""
        return use.operands[0].elements * self.cost

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes that are not folded stay."""
        return remaining(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The JAX function, with the axes and, where they are needed, `dtype` and `keepdims`."""
        axes = axis_text(use.attributes.axes("over"), use.operands[0].rank)
        keep = ", keepdims=True" if use.attributes.flag("keep") else ""
        return f"{self.text}({operands[0]}{axes}{dtype_text(use, scope)}{keep})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The NumPy function."""
        keep = use.attributes.flag("keep")
        return np.asarray(numpy_function(self.function)(operands[0], axis=use.attributes.axes("over"), keepdims=keep))


def _logsumexp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.logaddexp.reduce(x, axis=axis, keepdims=keepdims)


class ArgReduction(OpDefinition):
    """The index along the axis `over` of the element that wins; the first of equals."""

    differentiable = False

    def __init__(self, name: str, function: Reference, *, doc: str) -> None:
        self.name, self.function = name, function
        self.__doc__ = doc
        self.slots = (Operand("x", "number"), Setting("over", "axis"))
        self.examples = (
            Example((MATRIX,), {"over": 1}),
            Example((MATRIX,), {"over": 0}),
            Example((Sample((2, 3, 4), "int", -2, 3),), {"over": 1}),
        )

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The other axes, of ints."""
        (x,) = use.operands
        over = use.attributes.axis("over")
        check_axes(self.name, x, (over,))
        return (TensorType(INT, tuple(a for at, a in enumerate(x.axes) if at != over)),)

    def flops(self, use: Instance) -> Dim:
        """A comparison an element of the operand."""
        return use.operands[0].elements

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Axes that are not searched stay."""
        return remaining(use, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.argmax` or `jnp.argmin`."""
        over, rank = use.attributes.axis("over"), use.operands[0].rank
        return f"jnp.{self.name}({operands[0]}, axis={-1 if over == rank - 1 else over})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The NumPy function."""
        return np.asarray(numpy_function(self.function)(operands[0], axis=use.attributes.axis("over")))


MATRIX = Sample((3, 4), distinct=True)
NONZERO = Sample((3, 4), low=0.5, high=1.5)
WHOLE = Sample((3, 4), "int", -4, 5)
LOGICAL = Sample((3, 4), "bool")

REDUCTIONS = (
    Reduction(
        "sum", "jnp.sum", "sum", [MATRIX, WHOLE, LOGICAL],
        doc="The sum over axes; of bools, how many are true.", kind="any", gives=total_dtype,
        keeps="nothing",
    ),
    Reduction(
        "mean", "jnp.mean", "mean", [MATRIX, WHOLE, LOGICAL],
        doc="The mean over axes; of bools, the share that is true.", kind="any", gives=mean_dtype,
        keeps="nothing",
    ),
    Reduction(
        "variance", "jnp.var", "var", [MATRIX],
        doc="The mean squared distance from the mean (divides by n, not n - 1).", kind="float", cost=4,
    ),
    Reduction("max", "jnp.max", "max", [MATRIX, WHOLE], doc="The largest over axes."),
    Reduction("min", "jnp.min", "min", [MATRIX, WHOLE], doc="The smallest over axes."),
    Reduction("prod", "jnp.prod", "prod", [NONZERO, WHOLE], doc="The product over axes.", gives=total_dtype),
    Reduction("any", "jnp.any", "any", [LOGICAL], doc="Whether any holds.", kind="bool", differentiable=False),
    Reduction("all", "jnp.all", "all", [LOGICAL], doc="Whether all hold.", kind="bool", differentiable=False),
    Reduction(
        "logsumexp", "jax.nn.logsumexp", _logsumexp, [MATRIX],
        doc="log(sum(exp(x))) over axes, without overflow.", kind="float", cost=6,
    ),
)  # fmt: skip

OPS: tuple[OpDefinition, ...] = (
    *REDUCTIONS,
    ArgReduction("argmax", "argmax", doc="Where along the axis `over` the largest element is; the first of equals."),
    ArgReduction("argmin", "argmin", doc="Where along the axis `over` the smallest element is; the first of equals."),
)
