"""Calls of ops: operands and settings by the op's own table, then its results."""

from __future__ import annotations

from typing import cast

from ..ir import Attribute, Value
from ..ops import REQUIRED, OpDefinition, Operand, Setting
from ..resolve import nearest_of_few
from ..source import Span
from ..syntax import ast
from ..types import FLOAT, DType
from . import axes, builtins, operators, typing
from . import evaluate as evaluation
from .body import Body
from .faults import Fault, NeedsKnown, as_float, counted
from .values import AxesRef, CValue, OpRef, Partial, Sequence, Size, describe


def call_op(ref: OpRef, arguments: tuple[ast.Argument, ...], body: Body, span: Span) -> CValue:
    """An op's results: one tensor, or a tuple."""
    op = ref.op
    given, letters = _assign_slots(op, arguments)
    missing = [s for s in op.slots if s.name not in given and _is_required(s)]
    if len(missing) == 1 and not _operand_given(op, given, body):
        return Partial(ref, arguments, body, span)
    if missing:
        raise Fault("TRX0412", f"`{op.name}` needs an argument `{missing[0].name}`", span)
    operands: list[Value] = []
    spans: list[Span] = []
    for slot in op.operand_slots:
        if slot.name in given:
            for value, place in _operands(slot, given[slot.name].value, body, op):
                operands.append(value)
                spans.append(place)
    folded = builtins.fold_numbers(op, operands, given, body)
    if folded is not None:
        return folded
    attributes = _attributes(op, given, letters, operands, body, span)
    return builtins.finish_op(op, operands, attributes, body, span, spans)


def _is_required(slot: Operand | Setting) -> bool:
    return not slot.optional if isinstance(slot, Operand) else slot.default is REQUIRED and slot.kind != "letters"


def _operand_given(op: OpDefinition, given: dict[str, ast.Argument], body: Body) -> bool:
    """Whether what stands in the place of the first operand is a tensor (or numbers only are wanted)."""
    if not op.operand_slots:
        return True
    first = given.get(op.slots[0].name)
    if first is None:
        return False
    value = evaluation.evaluate(first.value, body)
    return isinstance(value, Value) or (isinstance(value, Sequence) and any(isinstance(v, Value) for v in value.items))


def _assign_slots(
    op: OpDefinition, arguments: tuple[ast.Argument, ...]
) -> tuple[dict[str, ast.Argument], dict[str, ast.Argument]]:
    """Arguments by slot, and (for einops patterns) the sizes of letters."""
    given: dict[str, ast.Argument] = {}
    letters: dict[str, ast.Argument] = {}
    names = [slot.name for slot in op.slots]
    variadic = next((s for s in op.operand_slots if s.variadic), None)
    takes_letters = any(isinstance(s, Setting) and s.kind == "letters" for s in op.slots)
    extra: list[ast.Argument] = []
    position = 0
    for argument in arguments:
        if argument.name is None:
            while position < len(op.slots) and isinstance(s := op.slots[position], Setting) and s.kind == "letters":
                position += 1
            if position >= len(names) and variadic is None:
                raise Fault(
                    "TRX0410",
                    f"`{op.name}` takes {counted(len(names), 'argument')}, and this is one more",
                    argument.span,
                )
            if variadic is not None and position >= names.index(variadic.name):
                extra.append(argument)
                continue
            name, position = names[position], position + 1
        else:
            name = argument.name.name
            if name not in names:
                if takes_letters:
                    _add_letter(letters, name, argument)
                    continue
                near = nearest_of_few(name, names, "arguments")
                raise Fault("TRX0409", f"`{op.name}` has no argument `{name}`", argument.name.span, helps=near)
        if name in given:
            raise Fault("TRX0411", f"argument `{name}` is given twice", argument.span)
        given[name] = argument
    if variadic is not None and extra:
        given[variadic.name] = _gathered(extra)
    return given, letters


def _add_letter(letters: dict[str, ast.Argument], name: str, argument: ast.Argument) -> None:
    if name in letters:
        labels = [(letters[name].span, "first here")]
        raise Fault("TRX0411", f"letter `{name}` is given twice", argument.span, labels=labels)
    letters[name] = argument


def _gathered(extra: list[ast.Argument]) -> ast.Argument:
    if len(extra) == 1:
        return extra[0]
    span = extra[0].span.to(extra[-1].span)
    return ast.Argument(span, None, ast.ListExpr(span, tuple(a.value for a in extra)))


def _operands(slot: Operand, expression: ast.Expr, body: Body, op: OpDefinition) -> list[tuple[Value, Span]]:
    value = evaluation.evaluate(expression, body)
    if not slot.variadic or not isinstance(value, Sequence):
        return [(_operand(slot, value, body, expression.span, op), expression.span)]
    known = isinstance(expression, ast.ListExpr | ast.TupleExpr)
    places = [item.span for item in expression.items] if known else [expression.span] * len(value.items)
    pairs = zip(value.items, places, strict=True)
    return [(_operand(slot, item, body, place, op), place) for item, place in pairs]


def _operand(slot: Operand, value: CValue, body: Body, span: Span, op: OpDefinition) -> Value:
    if slot.kind == "float" and isinstance(value, Size) and value.known is not None:
        value = as_float(value.known, span)
    tensor = operators.as_tensor(value, body, span)
    kind = tensor.type.dtype.kind
    if slot.kind == "float" and kind == "int":
        return operators.apply_op("cast", [tensor], {"dtype": FLOAT}, body, span, [span])[0]
    wanted = {"float": ("float",), "number": ("float", "int"), "int": ("int",), "bool": ("bool",)}.get(slot.kind)
    if wanted is not None and kind not in wanted:
        noun = {"float": "floats", "number": "numbers", "int": "ints", "bool": "bools"}[slot.kind]
        message = f"`{op.name}` takes {noun}, and this is `{tensor.type.dtype}`"
        raise Fault("TRX0206", message, span, label=f"is {tensor.type.dtype}{tensor.type.show()}")
    return tensor


def _attributes(
    op: OpDefinition, given: dict[str, ast.Argument], letters: dict[str, ast.Argument], operands: list[Value],
    body: Body, span: Span,
) -> dict[str, Attribute]:  # fmt: skip
    attributes: dict[str, Attribute] = {}
    for slot in op.slots:
        if not isinstance(slot, Setting):
            continue
        if slot.kind == "letters":
            attributes[slot.name] = tuple((n, _size_pair(a.value, body)) for n, a in letters.items())
        elif slot.name in given:
            attributes[slot.name] = _setting(slot, given[slot.name].value, op, operands, body)
        else:
            attributes[slot.name] = _default(slot, operands, span)
    return attributes


def _default(slot: Setting, operands: list[Value], span: Span) -> Attribute:
    default = slot.default
    if slot.kind == "axes":
        type_ = operands[0].type
        if default == "all":
            return tuple(range(type_.rank))
        items = default if isinstance(default, tuple) else (default,)
        found = axes.resolve_axes(AxesRef(tuple(i for i in items if isinstance(i, int)), "the default"), type_, span)
        return tuple(sorted(found))
    if slot.kind == "axis" and isinstance(default, int):
        return axes.resolve_axes(AxesRef((default,), str(default)), operands[0].type, span)[0]
    return cast("Attribute", default)  # `_is_required` has seen to those that have none


def _setting(slot: Setting, expression: ast.Expr, op: OpDefinition, operands: list[Value], body: Body) -> Attribute:
    span = expression.span
    if slot.kind in ("axis", "axes", "order"):
        found = _axes_setting(expression, operands, body)
        if slot.kind != "axis":
            return found if slot.kind == "order" else tuple(sorted(found))
        if len(found) != 1:
            raise Fault("TRX0208", f"`{slot.name}` of `{op.name}` is one axis, and this is {len(found)}", span)
        return found[0]
    if slot.kind == "size":
        return _size_pair(expression, body)
    value = evaluation.evaluate(expression, body)
    if value is None and slot.default is None:
        return None
    if slot.kind == "padding":
        return _padding(slot, value, op, span)
    if slot.kind in ("sizes", "ints"):
        return _several(slot, value, op, body, span)
    return _single(slot, value, op, span)


def _axes_setting(expression: ast.Expr, operands: list[Value], body: Body) -> tuple[int, ...]:
    return axes.resolve_axes(axes.axes_of(expression, body), operands[0].type, expression.span)


def _size_pair(expression: ast.Expr, body: Body) -> Attribute:
    size = typing.evaluate_size(expression, body)
    return (size.size, size.name)


def _several(slot: Setting, value: CValue, op: OpDefinition, body: Body, span: Span) -> Attribute:
    items = value.items if isinstance(value, Sequence) else (value,)
    if slot.kind == "sizes":
        return tuple(_pair(item, slot, op, span) for item in items)
    if isinstance(value, str):
        return value
    return tuple(_int(item, slot, op, span) for item in items)


def _padding(slot: Setting, value: CValue, op: OpDefinition, span: Span) -> Attribute:
    """A word, places for all axes, or for each axis its places or a (before, after) pair."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return tuple(_padding(slot, item, op, span) for item in value.items)
    return _int(value, slot, op, span)


def _pair(item: CValue, slot: Setting, op: OpDefinition, span: Span) -> Attribute:
    if isinstance(item, Size):
        return (item.size, item.name)
    raise Fault("TRX0405", f"`{slot.name}` of `{op.name}` is a list of sizes, and this has {describe(item)}", span)


def _int(item: CValue, slot: Setting, op: OpDefinition, span: Span) -> int:
    if not isinstance(item, Size):
        raise Fault("TRX0405", f"`{slot.name}` of `{op.name}` is made of ints, and this has {describe(item)}", span)
    if item.known is None:
        symbols = frozenset(s.name for s in item.size.symbols)
        raise NeedsKnown(symbols, f"`{slot.name}` of `{op.name}` must be known at compile time", span)
    return item.known


def _single(slot: Setting, value: CValue, op: OpDefinition, span: Span) -> Attribute:
    if slot.kind == "int":
        return _int(value, slot, op, span)
    if slot.kind == "number" and isinstance(value, Size):
        return _int(value, slot, op, span)
    wanted = {"number": float, "bool": bool, "string": str, "dtype": DType}[slot.kind]
    if not isinstance(value, wanted):
        noun = {"number": "a number", "bool": "a bool", "string": "a string", "dtype": "a dtype"}[slot.kind]
        raise Fault("TRX0405", f"`{slot.name}` of `{op.name}` is {noun}, and this is {describe(value)}", span)
    return value
