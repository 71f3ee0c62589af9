"""Arithmetic, comparison and logic: on numbers at compile time, on tensors as ops."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ..dims import DimError
from ..ir import Attribute, Value
from ..ops import TypeFault
from ..source import Span
from ..syntax import ast
from ..types import BOOL, FLOAT, INT, DType, TensorType
from .body import Body, Division
from .faults import Fault, NeedsKnown, Silent
from .values import Condition, CValue, LayerRef, Poison, Size, describe, whole

OP_OF = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder",
    "^": "power", "@": "matmul", "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal",
    ">": "greater", ">=": "greater_equal", "and": "logical_and", "or": "logical_or",
}  # fmt: skip


MAX_STRING = 100_000
"""Characters of a string that `+` makes."""


def as_tensor(value: CValue, body: Body, span: Span) -> Value:
    """A tensor from a value: numbers and bools become constants, sizes that are not known become `size` ops.

    Raises:
        Fault: the value is no number.
    """
    if isinstance(value, Value):
        return value
    if isinstance(value, bool):
        return constant(value, BOOL, body, span)
    if isinstance(value, float):
        return constant(value, FLOAT, body, span)
    if isinstance(value, Size):
        if value.known is not None:
            return constant(value.known, INT, body, span)
        pair = (value.size, value.name)
        return body.frame.add("size", [], {"size": pair}, [TensorType(INT)], span).result
    if isinstance(value, Poison):
        raise Silent
    helps = [f"apply it: `{value.item.name}()(…)` or `… |> {value.item.name}`"] if isinstance(value, LayerRef) else []
    raise Fault("TRX0206", f"a tensor is wanted here, and this is {describe(value)}", span, helps=helps)


def constant(number: int | float | bool, dtype: DType, body: Body, span: Span) -> Value:
    """A constant of rank 0."""
    value = body.frame.add("constant", [], {"value": number}, [TensorType(dtype)], span).result
    body.frame.constants[value] = number
    return value


def apply_op(
    kind: str,
    values: Sequence[Value],
    attributes: Mapping[str, Attribute],
    body: Body,
    span: Span,
    spans: Sequence[Span],
) -> list[Value]:
    """Applies an op of the table, its faults said at the operands' places."""
    try:
        return body.frame.apply(kind, list(values), attributes, span)
    except TypeFault as fault:
        raise from_type_fault(fault, span, spans, _declarations(values, body)) from None
    except DimError as error:
        raise Fault("TRX0212", str(error), span) from None


def _declarations(values: Sequence[Value], body: Body) -> list[tuple[Span, str]]:
    """Where weights among the operands are declared: their dims are as likely to be wrong as what they meet."""
    found: dict[Span, str] = {}
    for op in (op for region in body.frame.regions for op in region.ops):
        if op.kind not in ("parameter", "state") or op.span is None or op.results[0] not in values:
            continue
        if not body.session.library.is_standard(op.span.source):
            found[op.span] = f"`{op.results[0].name}` is {op.results[0].type.show()}"
    return list(found.items())


def from_type_fault(
    fault: TypeFault, span: Span, spans: Sequence[Span], declarations: Sequence[tuple[Span, str]] = ()
) -> Fault:
    """A fault with places from one that speaks of operands by number."""

    def place(index: int | None) -> Span:
        return spans[index] if index is not None and index < len(spans) else span

    labels = [(place(index), text) for index, text in fault.labels if place(index) != place(fault.operand)]
    if fault.code in ("TRX0204", "TRX0205"):
        labels += declarations
    return Fault(fault.code, fault.message, place(fault.operand), label=fault.label, labels=labels, helps=fault.helps)


def unary(operator: str, value: CValue, body: Body, span: Span) -> CValue:
    """`-x`, `+x`, `not x`."""
    if operator == "not":
        if isinstance(value, bool):
            return not value
        return apply_op("logical_not", [_logical(value, body, span)], {}, body, span, [span])[0]
    if isinstance(value, bool) or not isinstance(value, Size | float | Value):
        raise Fault("TRX0206", f"`{operator}` takes a number, and this is {describe(value)}", span)
    if operator == "+":
        return value
    if isinstance(value, Size):
        return Size(-value.size, None, span)
    if isinstance(value, float):
        return -value
    return apply_op("negate", [value], {}, body, span, [span])[0]


def _logical(value: CValue, body: Body, span: Span) -> Value:
    tensor = as_tensor(value, body, span) if not isinstance(value, Condition) else None
    if tensor is None or tensor.type.dtype != BOOL:
        raise Fault("TRX0206", f"a bool is wanted here, and this is {describe(value)}", span)
    return tensor


def binary(node: ast.Binary, left: CValue, right: CValue, body: Body) -> CValue:
    """The value of `left operator right`."""
    if isinstance(left, Poison) or isinstance(right, Poison):
        raise Silent
    operator = node.operator
    if operator in ("==", "!=") and (left is None or right is None):
        return (left is right) == (operator == "==")
    if not isinstance(left, Value) and not isinstance(right, Value):
        result = _fold(node, left, right, body)
        if result is not None:
            return result
    if operator in ("and", "or"):
        operands = [_logical(left, body, node.left.span), _logical(right, body, node.right.span)]
    else:
        operands = [as_tensor(left, body, node.left.span), as_tensor(right, body, node.right.span)]
    return tensor_binary(node, operands, body)


def tensor_binary(node: ast.Binary, operands: list[Value], body: Body) -> Value:
    """An operator on tensors; `/` of ints gives floats; names that differ are warned of."""
    spans = [node.left.span, node.right.span]
    kind = OP_OF[node.operator]
    for at, value in enumerate(operands):
        if value.type.dtype == BOOL and kind not in ("equal", "not_equal", "logical_and", "logical_or"):
            help_ = "`cast(x, float)` makes 0 and 1 of a bool"
            raise Fault("TRX0206", f"`{node.operator}` takes numbers, and this is a bool", spans[at], helps=[help_])
        if kind == "divide" and value.type.dtype.kind == "int":
            operands[at] = apply_op("cast", [value], {"dtype": FLOAT}, body, spans[at], [spans[at]])[0]
    if kind != "matmul":
        warn_of_names(operands[0], operands[1], node.operator_span, body)
    return apply_op(kind, operands, {}, body, node.span, spans)[0]


def warn_of_names(left: Value, right: Value, span: Span, body: Body) -> None:
    """Warns where dims of equal size and different names are lined up."""
    if body.unit.library:
        return
    for a, b in zip(reversed(left.type.axes), reversed(right.type.axes), strict=False):
        names = a.public_name, b.public_name
        if None not in names and names[0] != names[1] and a.size == b.size and a.size.value != 1:
            message = f"dims `{names[0]}` and `{names[1]}` are lined up: they have the same size under two names"
            body.session.warn("TRX0213", message, span)
            return


def _fold(node: ast.Binary, left: CValue, right: CValue, body: Body) -> CValue:
    """Compile-time arithmetic; None where the operands must become tensors."""
    operator = node.operator
    if operator in ("and", "or"):
        return _fold_logic(operator, left, right, node)
    if isinstance(left, bool) or isinstance(right, bool) or not (_is_number(left) and _is_number(right)):
        if operator in ("==", "!="):
            equal = left == right
            return equal if operator == "==" else not equal
        for value, span in ((left, node.left.span), (right, node.right.span)):
            if isinstance(value, bool) or not _is_number(value):
                if isinstance(value, str) and operator == "+" and isinstance(left, str) and isinstance(right, str):
                    return _joined(left, right, node.span)
                raise Fault("TRX0206", f"`{operator}` takes numbers, and this is {describe(value)}", span)
    if isinstance(left, Size) and isinstance(right, Size):
        return _fold_sizes(operator, left, right, node, body)
    return _fold_floats(operator, left, right, node)


def _joined(left: str, right: str, span: Span) -> str:
    if len(left) + len(right) > MAX_STRING:
        raise Fault("TRX0402", f"a string of more than {MAX_STRING:,} characters", span)
    return left + right


def _is_number(value: CValue) -> bool:
    return isinstance(value, Size | float)


def _fold_logic(operator: str, left: CValue, right: CValue, node: ast.Binary) -> CValue:
    if isinstance(left, bool) and isinstance(right, bool):
        return (left and right) if operator == "and" else (left or right)
    for value, span in ((left, node.left.span), (right, node.right.span)):
        if not isinstance(value, bool):
            raise Fault("TRX0206", f"`{operator}` takes bools, and this is {describe(value)}", span)
    return None


def _fold_sizes(operator: str, left: Size, right: Size, node: ast.Binary, body: Body) -> CValue:
    try:
        return _SIZE_OPERATORS[operator](left, right, node, body)
    except DimError as error:
        raise Fault("TRX0212", str(error), node.span) from None


def _divide(left: Size, right: Size, node: ast.Binary, body: Body) -> CValue:
    """Exact division: known sizes must divide; symbolic ones must be shown to, or become a constraint to write."""
    if right.known == 0:
        raise Fault("TRX0212", "division by zero", node.span)
    remainder = left.size % right.size if left.known is not None and right.known is not None else None
    if remainder is not None and remainder.value != 0:
        message = f"`{node.span.text}` is {left} / {right}, which is not a whole number"
        raise Fault("TRX0210", message, node.span, helps=["`//` rounds down"])
    quotient = left.size.divided_by(right.size)
    if not body.session.facts.is_whole(quotient):
        session = body.session
        place = session.home(node.span)
        session.constraints.append(Division(left.size, right.size, node.span.text, place, session.trail()))
        body.session.facts.assume_multiple(left.size, right.size)
    return Size(quotient)


def _matmul(left: Size, right: Size, node: ast.Binary, body: Body) -> CValue:
    raise Fault("TRX0206", "`@` multiplies matrices, and these are ints", node.span)


def _power(left: Size, right: Size, node: ast.Binary, body: Body) -> CValue:
    if right.known is None:
        raise NeedsKnown(frozenset(s.name for s in right.size.symbols), "an exponent must be known", node.right.span)
    if right.known < 0:
        return _fold_floats("^", whole(_known(left, node.left.span)), right, node)
    return Size(left.size**right.known)


def _known(size: Size, span: Span) -> int:
    if size.known is None:
        symbols = frozenset(symbol.name for symbol in size.size.symbols)
        raise NeedsKnown(symbols, f"`{size}` must be known at compile time here", span)
    return size.known


def _comparison(operator: str) -> Callable[[Size, Size, ast.Binary, Body], CValue]:
    decide: dict[str, Callable[[int], bool]] = {
        "==": lambda d: d == 0, "!=": lambda d: d != 0, "<": lambda d: d < 0,
        "<=": lambda d: d <= 0, ">": lambda d: d > 0, ">=": lambda d: d >= 0,
    }  # fmt: skip

    def compare(left: Size, right: Size, node: ast.Binary, body: Body) -> CValue:
        difference = (left.size - right.size).value
        if difference is not None:
            return decide[operator](difference)
        return Condition(operator, left.size, right.size)

    return compare


_SIZE_OPERATORS: dict[str, Callable[[Size, Size, ast.Binary, Body], CValue]] = {
    "+": lambda a, b, n, s: Size(a.size + b.size),
    "-": lambda a, b, n, s: Size(a.size - b.size),
    "*": lambda a, b, n, s: Size(a.size * b.size),
    "/": _divide,
    "//": lambda a, b, n, s: Size(a.size // b.size),
    "%": lambda a, b, n, s: Size(a.size % b.size),
    "^": _power,
    "@": _matmul,
    **{operator: _comparison(operator) for operator in ("==", "!=", "<", "<=", ">", ">=")},
}


def _fold_floats(operator: str, left: CValue, right: CValue, node: ast.Binary) -> CValue:
    if operator == "@":
        raise Fault("TRX0206", "`@` multiplies matrices, and these are numbers", node.span)
    numbers: list[float] = []
    for value in (left, right):
        if isinstance(value, Size):
            if value.known is None:
                return None
            numbers.append(value.known)
        else:
            assert isinstance(value, float)
            numbers.append(value)
    try:
        return _FLOAT_OPERATORS[operator](*numbers)
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        raise Fault("TRX0212", f"`{node.span.text}` has no value: {error}", node.span) from None


def _float_power(a: float, b: float) -> float:
    result = float(a) ** float(b)
    if isinstance(result, complex):
        raise ValueError("a negative number to a fractional power")
    return result


_FLOAT_OPERATORS: dict[str, Callable[[float, float], float | bool]] = {
    "+": lambda a, b: float(a + b), "-": lambda a, b: float(a - b), "*": lambda a, b: float(a * b),
    "/": lambda a, b: float(a / b), "//": lambda a, b: float(math.floor(a / b)),
    "%": lambda a, b: float(a % b), "^": _float_power,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip
