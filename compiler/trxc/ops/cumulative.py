"""Cumulative ops: running totals, products and extremes along one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..types import DType, TensorType
from .arrays import Array, Reference, np, numpy_function
from .definition import (
    Along,
    Environment,
    Example,
    Instance,
    OpDefinition,
    Operand,
    OperandKind,
    Sample,
    Scope,
    Setting,
)
from .reductions import check_axes, dtype_text, same_dtype, total_dtype


class Cumulative(OpDefinition):
    """Folds, at each place of the axis `over`, everything up to and including it."""

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
    ) -> None:
        self.name, self.text, self.function, self.gives = name, text, function, gives
        self.__doc__ = doc
        self.slots = (Operand("x", kind), Setting("over", "axis"))
        self.examples = tuple(Example((sample,), {"over": over}) for sample in samples for over in (0, 1))

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes."""
        (x,) = use.operands
        check_axes(self.name, x, (use.attributes.axis("over"),))
        return (x.with_dtype(self.gives(x.dtype)),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """All places before count along `over`."""
        return Along(axis, None if axis == use.attributes.axis("over") else 0)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The JAX function; those of `jax.lax` take no negative axis, so none is written."""
        return f"{self.text}({operands[0]}, axis={use.attributes.axis('over')}{dtype_text(use, scope)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The NumPy function."""
        return np.asarray(numpy_function(self.function)(operands[0], axis=use.attributes.axis("over")))


MATRIX = Sample((3, 4), distinct=True)
NONZERO = Sample((3, 4), low=0.5, high=1.5)
WHOLE = Sample((3, 4), "int", -4, 5)
LOGICAL = Sample((3, 4), "bool")

OPS: tuple[OpDefinition, ...] = (
    Cumulative(
        "cumsum", "jnp.cumsum", "cumsum", [MATRIX, WHOLE, LOGICAL],
        doc="The sum of all elements along the axis `over` up to each.", kind="any", gives=total_dtype,
    ),
    Cumulative(
        "cumprod", "jnp.cumprod", "cumprod", [NONZERO, WHOLE],
        doc="The product of all elements along the axis `over` up to each.", gives=total_dtype,
    ),
    Cumulative(
        "cummax", "jax.lax.cummax", "maximum.accumulate", [MATRIX, WHOLE],
        doc="The largest element along the axis `over` up to each.",
    ),
    Cumulative(
        "cummin", "jax.lax.cummin", "minimum.accumulate", [MATRIX, WHOLE],
        doc="The smallest element along the axis `over` up to each.",
    ),
)  # fmt: skip
