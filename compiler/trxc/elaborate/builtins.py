"""What the elaborator itself knows how to do: loops, ranges, and the ops that need to know where they stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from ..dims import dim
from ..ir import Attribute, Value
from ..ops import Attributes, Instance, OpDefinition
from ..ops.arrays import np
from ..resolve import nearest_of_few
from ..source import Span
from ..syntax import ast
from ..types import BOOL
from . import apply, axes, calls, operators
from . import evaluate as evaluation
from .body import MAX_OPS, Body
from .faults import Fault, NeedsKnown, counted
from .values import Conditional, CValue, Recurrent, Repeated, Sequence, Size, describe, whole

MAX_RANGE = 10_000

Builtin: TypeAlias = Callable[[ast.Call, Body], CValue]


def known_int(expression: ast.Expr, body: Body, what: str, *, helps: tuple[str, ...] = ()) -> int:
    """An int that is known at compile time.

    Raises:
        NeedsKnown: it is an int, but symbolic.
        Fault: it is no int.
    """
    value = evaluation.evaluate(expression, body)
    if not isinstance(value, Size):
        raise Fault("TRX0405", f"{what} is an int, and this is {describe(value)}", expression.span, helps=helps)
    if value.known is None:
        symbols = frozenset(symbol.name for symbol in value.size.symbols)
        raise NeedsKnown(symbols, f"{what} must be known at compile time", expression.span)
    return value.known


def _arguments(node: ast.Call, names: list[str], required: int, name: str) -> dict[str, ast.Expr]:
    given: dict[str, ast.Expr] = {}
    for at, argument in enumerate(node.arguments):
        if argument.name is None and at >= len(names):
            raise Fault(
                "TRX0410", f"`{name}` takes {counted(len(names), 'argument')}, and this is one more", argument.span
            )
        key = argument.name.name if argument.name else names[at]
        if key not in names:
            near = nearest_of_few(key, names, "arguments")
            raise Fault("TRX0409", f"`{name}` has no argument `{key}`", argument.span, helps=near)
        if key in given:
            raise Fault("TRX0411", f"argument `{key}` is given twice", argument.span)
        given[key] = argument.value
    for key in names[:required]:
        if key not in given:
            raise Fault("TRX0412", f"`{name}` needs an argument `{key}`", node.span)
    return given


def _layer(expression: ast.Expr, body: Body) -> CValue:
    value = calls.settle(evaluation.evaluate(expression, body), body, expression.span)
    return apply.as_layer(value, expression.span)


def _repeat(node: ast.Call, body: Body) -> CValue:
    """`repeat(n, f)`: n copies of a layer one after another, each with weights of its own."""
    given = _arguments(node, ["count", "layer"], 2, "repeat")
    count = known_int(given["count"], body, "the count of `repeat`", helps=("the count comes first: `repeat(n, f)`",))
    if not 0 <= count <= MAX_OPS:
        raise Fault("TRX0402", f"`repeat` goes from 0 to {MAX_OPS:,} times, and this is {count}", given["count"].span)
    layer = _layer(given["layer"], body)
    return Repeated(count, layer, body.namer, node.span)


def _recur(node: ast.Call, body: Body) -> CValue:
    """`recur(cell, over = seq, reverse = false)`: a cell along a dim, its carries handed from step to step."""
    given = _arguments(node, ["cell", "over", "reverse"], 2, "recur")
    cell = _layer(given["cell"], body)
    over = axes.axes_of(given["over"], body)
    reverse = evaluation.evaluate_flag(given["reverse"], body) if "reverse" in given else False
    return Recurrent(cell, over, reverse, body.namer, node.span)


def _cond(node: ast.Call, body: Body) -> CValue:
    """`cond(predicate, f, g)`: the layer `f` where the predicate (a bool of rank 0) holds at run time, else `g`."""
    given = _arguments(node, ["predicate", "then", "otherwise"], 3, "cond")
    span = given["predicate"].span
    predicate = operators.as_tensor(evaluation.evaluate(given["predicate"], body), body, span)
    if predicate.type.dtype != BOOL or predicate.type.rank:
        raise Fault("TRX0206", f"the predicate of `cond` is one bool, and this is {describe(predicate)}", span)
    then, otherwise = _layer(given["then"], body), _layer(given["otherwise"], body)
    return Conditional(predicate, then, otherwise, node.span)


def _range(node: ast.Call, body: Body) -> CValue:
    """`range(n)`, `range(start, stop)`: the ints in between, for lists."""
    if len(node.arguments) == 1:
        given = _arguments(node, ["stop"], 1, "range")
    else:
        given = _arguments(node, ["start", "stop"], 2, "range")
    start = known_int(given["start"], body, "the start of `range`") if "start" in given else 0
    stop = known_int(given["stop"], body, "the end of `range`")
    if stop - start > MAX_RANGE:
        raise Fault("TRX0402", f"a list of more than {MAX_RANGE:,} items", node.span)
    return Sequence(tuple(whole(n) for n in range(start, stop)))


def _length(node: ast.Call, body: Body) -> CValue:
    """`length(list)`: how many items a list or tuple has."""
    given = _arguments(node, ["list"], 1, "length")
    value = evaluation.evaluate(given["list"], body)
    if not isinstance(value, Sequence):
        raise Fault("TRX0405", f"`length` takes a list, and this is {describe(value)}", node.span)
    return whole(len(value.items))


def _serial(node: ast.Call, body: Body) -> CValue:
    """`serial(f, g, …)` or `serial([f, g])`: layers one after another, as `f >> g` writes them."""
    parts: list[tuple[CValue, Span]] = []
    for argument in node.arguments:
        value = evaluation.evaluate(argument.value, body)
        items = value.items if isinstance(value, Sequence) else (calls.settle(value, body, argument.span),)
        parts.extend((item, argument.span) for item in items)
    if not parts:
        raise Fault("TRX0412", "`serial` needs a layer", node.span)
    return evaluation.compose(parts)


def _per_axis(node: ast.Call, body: Body) -> CValue:
    """`per_axis(setting, count)`: a setting for each of `count` axes: a list as it is, a number for all of them."""
    given = _arguments(node, ["setting", "count"], 2, "per_axis")
    setting = evaluation.evaluate(given["setting"], body)
    count = known_int(given["count"], body, "the count of `per_axis`")
    if not 0 <= count <= MAX_RANGE:
        message = f"the count of `per_axis` is from 0 to {MAX_RANGE:,}, and this is {count}"
        raise Fault("TRX0402", message, given["count"].span)
    if not isinstance(setting, Sequence):
        return Sequence((setting,) * count)
    if len(setting.items) != count:
        raise Fault("TRX0405", f"{len(setting.items)} values for {count} axes", given["setting"].span)
    return setting


BUILTINS: dict[str, Builtin] = {
    "repeat": _repeat,
    "recur": _recur,
    "cond": _cond,
    "range": _range,
    "length": _length,
    "serial": _serial,
    "per_axis": _per_axis,
}


# ---------------------------------------------------------------------- ops


def fold_numbers(op: OpDefinition, operands: list[Value], given: dict[str, ast.Argument], body: Body) -> CValue:
    """An elementwise op of known numbers, computed at compile time; None where it is not one."""
    constants = body.frame.constants
    if not op.elementwise or op.name in ("cast", "stop_gradient") or not operands:
        return None
    if any(value not in constants for value in operands) or len(given) != len(operands):
        return None
    numbers = [constants[value] for value in operands]
    known = _by_python(op.name, numbers)
    if known is not None:
        return known
    types = tuple(value.type for value in operands)
    use = Instance(types, Attributes(), op.infer(Instance(types, Attributes())))
    with np.errstate(all="ignore"):
        result = op.reference(use, [np.asarray(number) for number in numbers], _NOTHING)
    assert isinstance(result, np.ndarray)
    if use.result.dtype == BOOL:
        return bool(result)
    return whole(int(result)) if use.result.dtype.kind == "int" else float(result)


_MATH = frozenset({"cos", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tanh"})


def _by_python(name: str, numbers: list[bool | int | float]) -> float | None:
    """Functions that Python has itself, so that `log(2)` does not wait for NumPy; None where it has no answer."""
    if name not in _MATH:
        return None
    try:
        return getattr(math, name)(*numbers)
    except (ValueError, OverflowError):  # NumPy's answer is infinite or not a number
        return None


class _Nothing:
    """The environment of a computation that asks for nothing."""

    @property
    def rng(self) -> np.random.Generator:
        """A generator, never drawn from."""
        return np.random.default_rng(0)

    def size(self, size: object) -> int:
        """No sizes here."""
        raise AssertionError(f"a number has no size {size}")

    def dtype(self, dtype: object) -> np.dtype[np.float64]:
        """Float64."""
        return np.dtype(np.float64)


_NOTHING = _Nothing()


def finish_op(
    op: OpDefinition, operands: list[Value], attributes: dict[str, Attribute], body: Body, span: Span, spans: list[Span]
) -> CValue:
    """Applies an op with its operands and attributes ready; random ones are named, dropout happens in training only."""
    if op.name == "dropout":
        rate = attributes["rate"]
        assert isinstance(rate, int | float)
        if not 0 <= rate < 1:
            raise Fault("TRX0405", f"a dropout rate is from 0 up to, without, 1, and this is {rate}", span)
        if not body.session.training or rate == 0:
            return operands[0]
    if op.random:
        attributes["path"] = (*body.namer.prefix, body.namer.claim(op.name))
    if op.elementwise and len(operands) == 2:
        operators.warn_of_names(operands[0], operands[1], span, body)
    results = operators.apply_op(op.name, operands, attributes, body, span, spans)
    return results[0] if len(results) == 1 else Sequence(tuple(results))


__all__ = ["BUILTINS", "dim", "finish_op", "fold_numbers", "known_int"]
