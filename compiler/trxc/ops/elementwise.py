"""Elementwise ops: arithmetic, comparison, logic and functions of one number.

All broadcast as NumPy's do. Each is declared by its JAX text and its NumPy function; `{0}`, `{1}` stand for operands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..dims import Dim
from ..types import BOOL, DType, TensorType, promote
from .arrays import Array, Reference, np, numpy_function
from .definition import (
    Along,
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
    aligned,
    broadcast_axes,
)


class Elementwise(OpDefinition):
    """A function applied to each element of operands that broadcast together."""

    elementwise = True

    def __init__(
        self,
        name: str,
        text: str,
        function: Reference,
        samples: Sequence[Sample],
        *,
        doc: str,
        kind: OperandKind = "float",
        gives: DType | None = None,
        differentiable: bool = True,
        cost: int = 1,
        keeps: Keeps = "operands",
    ) -> None:
        self.name, self.text, self.function, self.cost = name, text, function, cost
        self.__doc__ = doc
        self.keeps = keeps if differentiable else "nothing"
        self.gives, self.differentiable = gives, differentiable
        self.slots = tuple(Operand(letter, kind) for letter, _ in zip("xyz", samples, strict=False))
        self.examples = (Example(tuple(samples)),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The broadcast axes, with the promoted dtype or the one that the op always gives."""
        dtype = self.gives or use.operands[0].dtype
        for operand in use.operands[1:]:
            dtype = self.gives or promote(dtype, operand.dtype)
        return (TensorType(dtype, broadcast_axes(use.operands)),)

    def flops(self, use: Instance) -> Dim:
        """`cost` an element."""
        return use.result.elements * self.cost

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place, lined up on the right."""
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The JAX text."""
        return self.text.format(*operands)

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The NumPy function."""
        return np.asarray(numpy_function(self.function)(*operands))


ANYWHERE = Sample((2, 3))
POSITIVE = Sample((2, 3), low=0.3, high=3.0)
AWAY_FROM_ZERO = Sample((2, 3), values=[[-1.6, -0.7, 0.4], [0.9, 1.3, 2.2]])
ROW = Sample((3,), low=0.5, high=2.0)
LOGICAL = Sample((2, 3), "bool")
WHOLE = Sample((2, 3), "int", -4, 5)
WHOLE_ROW = Sample((3,), "int", 1, 5)


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


FUNCTIONS = (
    Elementwise("exp", "jnp.exp({0})", "exp", [ANYWHERE], doc="e to the power of `x`.", cost=4, keeps="result"),
    Elementwise("log", "jnp.log({0})", "log", [POSITIVE], doc="The natural logarithm.", cost=4),
    Elementwise("log1p", "jnp.log1p({0})", "log1p", [POSITIVE], doc="log(1 + x), exact near 0.", cost=4),
    Elementwise(
        "expm1", "jnp.expm1({0})", "expm1", [ANYWHERE], doc="exp(x) - 1, exact near 0.", cost=4, keeps="result"
    ),
    Elementwise("tanh", "jnp.tanh({0})", "tanh", [ANYWHERE], doc="The hyperbolic tangent.", cost=6, keeps="result"),
    Elementwise(
        "sigmoid", "jax.nn.sigmoid({0})", _sigmoid, [ANYWHERE], doc="1 / (1 + exp(-x)).", cost=5, keeps="result"
    ),
    Elementwise("erf", "jax.lax.erf({0})", _erf, [ANYWHERE], doc="The error function.", cost=8),
    Elementwise("sin", "jnp.sin({0})", "sin", [ANYWHERE], doc="The sine of an angle in radians.", cost=4),
    Elementwise("cos", "jnp.cos({0})", "cos", [ANYWHERE], doc="The cosine of an angle in radians.", cost=4),
    Elementwise("sqrt", "jnp.sqrt({0})", "sqrt", [POSITIVE], doc="The square root.", cost=2, keeps="result"),
    Elementwise("rsqrt", "jax.lax.rsqrt({0})", _rsqrt, [POSITIVE], doc="1 / sqrt(x).", cost=2, keeps="result"),
    Elementwise("abs", "jnp.abs({0})", "abs", [AWAY_FROM_ZERO], doc="The absolute value.", kind="number"),
    Elementwise("sign", "jnp.sign({0})", "sign", [AWAY_FROM_ZERO], doc="-1, 0 or 1.", kind="number", keeps="nothing"),
    Elementwise("negate", "-{0}", "negative", [ANYWHERE], doc="`-x`.", kind="number", keeps="nothing"),
    Elementwise("floor", "jnp.floor({0})", "floor", [AWAY_FROM_ZERO], doc="The integer below.", keeps="nothing"),
    Elementwise("ceil", "jnp.ceil({0})", "ceil", [AWAY_FROM_ZERO], doc="The integer above.", keeps="nothing"),
    Elementwise(
        "round",
        "jnp.round({0})",
        "round",
        [AWAY_FROM_ZERO],
        doc="The nearest integer, halves to even.",
        keeps="nothing",
    ),
    Elementwise("softplus", "jax.nn.softplus({0})", _softplus, [ANYWHERE], doc="log(1 + exp(x)).", cost=8),
)

ARITHMETIC = (
    Elementwise("add", "{0} + {1}", "add", [ANYWHERE, ROW], doc="`x + y`.", kind="number", keeps="nothing"),
    Elementwise("subtract", "{0} - {1}", "subtract", [ANYWHERE, ROW], doc="`x - y`.", kind="number", keeps="nothing"),
    Elementwise("multiply", "{0} * {1}", "multiply", [ANYWHERE, ROW], doc="`x * y`.", kind="number"),
    Elementwise("divide", "{0} / {1}", "divide", [ANYWHERE, ROW], doc="`x / y`, of floats."),
    Elementwise(
        "floor_divide", "{0} // {1}", "floor_divide", [WHOLE, WHOLE_ROW],
        doc="`x // y`, rounded down.", kind="number", differentiable=False,
    ),
    Elementwise(
        "remainder", "{0} % {1}", "mod", [WHOLE, WHOLE_ROW],
        doc="`x % y`, with the sign of `y`.", kind="number", differentiable=False,
    ),
    Elementwise("power", "{0} ** {1}", "power", [POSITIVE, ROW], doc="`x ^ y`.", kind="number", cost=8),
    Elementwise(
        "minimum", "jnp.minimum({0}, {1})", "minimum", [AWAY_FROM_ZERO, ROW], doc="The smaller.", kind="number"
    ),
    Elementwise(
        "maximum", "jnp.maximum({0}, {1})", "maximum", [AWAY_FROM_ZERO, ROW], doc="The larger.", kind="number"
    ),
)  # fmt: skip


def _comparison(name: str, symbol: str, function: Reference) -> Elementwise:
    return Elementwise(
        name, f"{{0}} {symbol} {{1}}", function, [WHOLE, WHOLE_ROW],
        doc=f"`x {symbol} y`.", kind="any", gives=BOOL, differentiable=False,
    )  # fmt: skip


COMPARISONS = (
    _comparison("equal", "==", "equal"),
    _comparison("not_equal", "!=", "not_equal"),
    _comparison("less", "<", "less"),
    _comparison("less_equal", "<=", "less_equal"),
    _comparison("greater", ">", "greater"),
    _comparison("greater_equal", ">=", "greater_equal"),
)

LOGIC = (
    Elementwise(
        "logical_and", "{0} & {1}", "logical_and", [LOGICAL, LOGICAL],
        doc="`x and y`.", kind="bool", gives=BOOL, differentiable=False,
    ),
    Elementwise(
        "logical_or", "{0} | {1}", "logical_or", [LOGICAL, LOGICAL],
        doc="`x or y`.", kind="bool", gives=BOOL, differentiable=False,
    ),
    Elementwise(
        "logical_not", "~{0}", "logical_not", [LOGICAL],
        doc="`not x`.", kind="bool", gives=BOOL, differentiable=False,
    ),
)  # fmt: skip


class Where(OpDefinition):
    """`where(condition, x, y)`: elements of `x` where the condition holds, of `y` elsewhere; all broadcast."""

    name = "where"
    elementwise = True
    keeps = "condition"
    slots = (Operand("condition", "bool"), Operand("x"), Operand("y"))
    examples = (Example((LOGICAL, ANYWHERE, ROW)),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The broadcast axes of all three, named by `x` before the condition, with the dtype of `x` and `y`."""
        condition, x, y = use.operands
        broadcast_axes(use.operands)
        return (TensorType(promote(x.dtype, y.dtype), broadcast_axes((x, y, condition))),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place, lined up on the right."""
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.where`."""
        return f"jnp.where({', '.join(operands)})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.where`."""
        return np.where(*operands)


class Clip(OpDefinition):
    """`clip(x, low, high)`: each element moved into [low, high]."""

    name = "clip"
    elementwise = True
    slots = (Operand("x", "number"), Setting("low", "number"), Setting("high", "number"))
    examples = (Example((AWAY_FROM_ZERO,), {"low": -1.0, "high": 1.0}),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's type."""
        low, high = use.attributes.number("low"), use.attributes.number("high")
        if low > high:
            raise TypeFault("TRX0405", f"`clip` has `low` = {low} above `high` = {high}")
        return (use.operands[0],)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place, lined up on the right."""
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jnp.clip`."""
        low, high = use.attributes.number("low"), use.attributes.number("high")
        return f"jnp.clip({operands[0]}, min={low!r}, max={high!r})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`np.clip`."""
        return np.clip(operands[0], use.attributes.number("low"), use.attributes.number("high"))


class Cast(OpDefinition):
    """`cast(x, dtype)`: the same numbers in another dtype; to int truncates, to bool asks whether not 0."""

    name = "cast"
    elementwise = True
    keeps = "nothing"
    slots = (Operand("x"), Setting("dtype", "dtype"))
    differentiable = False
    examples = (Example((WHOLE,), {"dtype": BOOL}),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's axes with the new dtype."""
        return (use.operands[0].with_dtype(use.attributes.dtype("dtype")),)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place, lined up on the right."""
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`astype`."""
        return f"{operands[0]}.astype({scope.dtype(use.attributes.dtype('dtype'))})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """`astype`."""
        return operands[0].astype(env.dtype(use.attributes.dtype("dtype")))


class StopGradient(OpDefinition):
    """`stop_gradient(x)`: `x`, through which no gradient flows."""

    name = "stop_gradient"
    elementwise = True
    keeps = "nothing"
    differentiable = False
    slots = (Operand("x"),)
    examples = (Example((ANYWHERE,)),)

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The operand's type."""
        return (use.operands[0],)

    def flops(self, use: Instance) -> Dim:
        """None."""
        return use.result.elements * 0

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """Place by place, lined up on the right."""
        return aligned(use, operand, axis)

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """`jax.lax.stop_gradient`."""
        return f"jax.lax.stop_gradient({operands[0]})"

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array:
        """The operand."""
        return operands[0]


OPS: tuple[OpDefinition, ...] = (
    *FUNCTIONS,
    *ARITHMETIC,
    *COMPARISONS,
    *LOGIC,
    Where(),
    Clip(),
    Cast(),
    StopGradient(),
)
