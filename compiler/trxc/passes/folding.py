"""Arithmetic on constants, as the program would do it: floats in float64, ints exactly.

What has no value, overflows, or has too few bits for the result to be the same, is left to the program.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from ..types import TensorType

Number = int | float | bool

_FLOATS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": float.__truediv__,
    "power": math.pow, "negate": operator.neg, "abs": abs, "sqrt": math.sqrt, "exp": math.exp, "log": math.log,
    "log1p": math.log1p, "expm1": math.expm1, "tanh": math.tanh, "erf": math.erf, "sin": math.sin, "cos": math.cos,
    "minimum": min, "maximum": max,
}  # fmt: skip
_INTS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "negate": operator.neg, "abs": abs,
    "minimum": min, "maximum": max, "floor_divide": int.__floordiv__, "remainder": operator.mod,
}  # fmt: skip
_TRUTHS: dict[str, Callable[..., Any]] = {
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge, "logical_not": operator.not_,
}  # fmt: skip


def folded(kind: str, values: Sequence[Number], type_: TensorType) -> Number | None:
    """What an op of scalars gives; None where it is left to the program."""
    if type_.rank or not (type_.dtype.generic or type_.dtype.bits >= 32 or type_.dtype.kind == "bool"):
        return None
    if kind == "cast":
        return float(values[0]) if type_.dtype.kind == "float" and not isinstance(values[0], bool) else None
    table = {"float": _FLOATS, "int": _INTS, "bool": _TRUTHS}[type_.dtype.kind]
    if kind not in table or any(isinstance(value, bool) for value in values) != (kind == "logical_not"):
        return None
    values = list(map(float, values)) if type_.dtype.kind == "float" else values
    try:
        value: Number = table[kind](*values)
    except (ArithmeticError, ValueError):
        return None
    return _fitting(value, type_)


def _fitting(value: Number, type_: TensorType) -> Number | None:
    if type_.dtype.kind == "bool":
        return bool(value)
    if type_.dtype.kind == "int":
        return int(value) if abs(value) < 2**31 else None
    return float(value) if math.isfinite(value) and (value == 0 or 1e-30 < abs(value) < 1e30) else None
