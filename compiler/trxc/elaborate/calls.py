"""Calls: which argument goes to which parameter, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence as Items
from dataclasses import replace
from typing import cast

from ..ir import Attribute, Value
from ..ops import REQUIRED, OpDefinition, Operand, Setting
from ..resolve import ItemRef, nearest
from ..source import Span
from ..syntax import ast
from ..types import FLOAT, DType
from . import apply, axes, builtins, operators, typing
from . import evaluate as evaluation
from .body import Body
from .declared import declare
from .faults import Fault, NeedsKnown
from .values import (
    LAYER_LIKE,
    AxesRef,
    BuiltinRef,
    CValue,
    DeclaredRef,
    FnRef,
    LayerInstance,
    LayerRef,
    OpRef,
    Partial,
    Sequence,
    Size,
    describe,
)


def call(node: ast.Call, body: Body) -> CValue:
    """The value of `function(arguments)`."""
    if isinstance(node.function, ast.Attribute):
        method = _method(node.function, body)
        if method is not None:
            function, instance = method
            return call_fn(function, node.arguments, body, node.span, first=instance)
    function = evaluation.evaluate(node.function, body)
    match function:
        case OpRef():
            return call_op(function, node.arguments, body, node.span)
        case FnRef():
            return call_fn(function, node.arguments, body, node.span)
        case LayerRef():
            return instantiate(function, node.arguments, body, node.span)
        case BuiltinRef():
            return builtins.BUILTINS[function.name](node, body)
        case DeclaredRef():
            return declare(function, node.arguments, body, node.span)
        case _ if isinstance(function, LAYER_LIKE):
            values, named = _evaluated(node.arguments, body)
            return apply.apply(function, values, body, node.span, named)
        case _:
            raise Fault("TRX0403", f"{describe(function)} cannot be called", node.function.span)


def _evaluated(arguments: tuple[ast.Argument, ...], body: Body) -> tuple[list[CValue], dict[str, CValue]]:
    values = [evaluation.evaluate(a.value, body) for a in arguments if a.name is None]
    named = {a.name.name: evaluation.evaluate(a.value, body) for a in arguments if a.name is not None}
    return values, named


def _method(node: ast.Attribute, body: Body) -> tuple[FnRef, LayerInstance] | None:
    """`table.attend(x)`: a fn that stands beside the layer's definition and takes the layer first."""
    if isinstance(node.value, ast.Name) and node.value.name in body.unit.spaces:
        return None
    value = evaluation.evaluate(node.value, body)
    if not isinstance(value, LayerInstance):
        return None
    unit = value.item.unit
    item = unit.own(node.name.name)
    if item is None or not isinstance(item.item, ast.Fn) or not _takes_layer(item.item):
        methods = [
            n for n in unit.names() if (i := unit.own(n)) and isinstance(i.item, ast.Fn) and _takes_layer(i.item)
        ]
        near = nearest(node.name.name, methods)
        raise Fault("TRX0303", f"`{value.item.name}` has no `{node.name.name}`", node.name.span, helps=near)
    return FnRef(item), value


def _takes_layer(fn: ast.Fn) -> bool:
    first = fn.parameters[0].type if fn.parameters else None
    return first is not None and first.name.name == "layer"


# ------------------------------------------------------------------ binding


def assign(
    parameters: tuple[ast.Parameter, ...], arguments: tuple[ast.Argument, ...], owner: str, span: Span, skip: int = 0
) -> tuple[dict[str, ast.Argument], list[ast.Argument]]:
    """Which argument goes to which parameter by name, and those left for a variadic one.

    Raises:
        Fault: too many, unknown or doubled arguments.
    """
    plain = [p for p in parameters if not p.variadic]
    given: dict[str, ast.Argument] = {}
    rest: list[ast.Argument] = []
    position = skip
    for argument in arguments:
        if argument.name is not None:
            name = argument.name.name
            if name not in {p.name.name for p in plain}:
                near = nearest(name, [p.name.name for p in plain])
                raise Fault("TRX0409", f"`{owner}` has no argument `{name}`", argument.name.span, helps=near)
        elif position < len(plain):
            name, position = plain[position].name.name, position + 1
        elif len(plain) < len(parameters):
            rest.append(argument)
            continue
        else:
            takes = f"{len(plain)} argument{'s' if len(plain) != 1 else ''}"
            raise Fault("TRX0410", f"`{owner}` takes {takes}, and this is one more", argument.span)
        if name in given:
            first = given[name].span
            raise Fault("TRX0411", f"argument `{name}` is given twice", argument.span, labels=[(first, "first here")])
        given[name] = argument
    return given, rest


def bind(
    parameters: tuple[ast.Parameter, ...], arguments: tuple[ast.Argument, ...], body: Body, inner: Body, owner: str,
    span: Span, first: CValue = None,
) -> dict[str, CValue]:  # fmt: skip
    """Every parameter's value: given (evaluated in `body`) or by default (evaluated in `inner`, where earlier ones are bound).

    Raises:
        Fault: an argument is missing, superfluous or of the wrong kind.
    """
    given, rest = assign(parameters, arguments, owner, span, skip=0 if first is None else 1)
    values: dict[str, CValue] = {}
    for at, parameter in enumerate(parameters):
        name = parameter.name.name
        if first is not None and at == 0:
            value, place = first, span
        elif parameter.variadic:
            items = (settle(evaluation.evaluate(a.value, body), body, a.value.span) for a in rest)
            value, place = Sequence(tuple(items)), span
        elif name in given:
            value, place = argument_value(parameter, given[name].value, body), given[name].value.span
        elif parameter.default is not None:
            value, place = argument_value(parameter, parameter.default, inner), parameter.default.span
        else:
            raise _missing(parameter, owner, span)
        if not parameter.variadic:
            value = typing.check_argument(parameter, value, owner, place)
        values[name] = inner.variables[name] = value
    return values


def argument_value(parameter: ast.Parameter, expression: ast.Expr, body: Body) -> CValue:
    kind = parameter.type.name.name if parameter.type and parameter.type.dims is None else ""
    if kind in ("axis", "axes"):
        return axes.axes_of(expression, body)
    if kind == "field" and isinstance(expression, ast.Name):
        return expression.name
    return settle(evaluation.evaluate(expression, body), body, expression.span)


def _missing(parameter: ast.Parameter, owner: str, span: Span) -> Fault:
    message = f"`{owner}` needs an argument `{parameter.name.name}`"
    return Fault("TRX0412", message, span, labels=[(parameter.span, "declared here, without a default")])


def missing_count(parameters: tuple[ast.Parameter, ...], arguments: tuple[ast.Argument, ...]) -> int:
    """How many parameters have neither an argument nor a default."""
    named = {a.name.name for a in arguments if a.name is not None}
    positional = sum(a.name is None for a in arguments)
    open_ = [p for p in parameters if not p.variadic and p.name.name not in named][positional:]
    return sum(p.default is None for p in open_)


def stem_of(instance: LayerInstance) -> str:
    """The name that an instance's weights get if it is not bound: the layer's, in lower_snake."""
    return snake(instance.item.name)


def snake(name: str) -> str:
    """`SelfAttention` → `self_attention`, `LSTMCell` → `lstm_cell`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


# ------------------------------------------------------------------- layers, fns


def instantiate(ref: LayerRef, arguments: tuple[ast.Argument, ...], body: Body, span: Span) -> LayerInstance:
    """A layer with its arguments."""
    item = ref.item
    assert isinstance(item.item, ast.Layer | ast.Extern)
    inner = body.child(item.unit, body.namer)
    values = bind(item.item.parameters, arguments, body, inner, item.name, span)
    return LayerInstance(item, values, body.namer, span)


def settle(value: CValue, body: Body, span: Span) -> CValue:
    """A layer that is only named where a layer is handed on, with its defaults: its weights belong to who names it."""
    if isinstance(value, LayerRef) and not missing_count(parameters_of(value.item), ()):
        return instantiate(value, (), body, span)
    return value


def parameters_of(item: ItemRef) -> tuple[ast.Parameter, ...]:
    """The compile-time parameters of a layer, fn or extern."""
    node = item.item
    return node.parameters if isinstance(node, ast.Layer | ast.Fn | ast.Extern) else ()


def call_fn(ref: FnRef, arguments: tuple[ast.Argument, ...], body: Body, span: Span, first: CValue = None) -> CValue:
    """A fn's value; without its first argument, a layer that waits for it."""
    fn = ref.item.item
    assert isinstance(fn, ast.Fn)
    skipped = fn.parameters[1:] if first is not None else fn.parameters
    if first is None and missing_count(skipped, arguments) == 1 and not _first_given(fn, arguments):
        assign(fn.parameters, arguments, ref.item.name, span, 1)
        return Partial(ref, arguments, body, span)
    inner = body.child(ref.item.unit, body.namer)
    with body.session.within(f"`{ref.item.name}`", span, ref.item):
        values = bind(fn.parameters, arguments, body, inner, ref.item.name, span, first)
        given, _ = assign(fn.parameters, arguments, ref.item.name, span, 1 if first is not None else 0)
        places = {name: argument.value.span for name, argument in given.items()}
        return apply.run_fn(ref.item, fn, values, body, span, places)


def _first_given(fn: ast.Fn, arguments: tuple[ast.Argument, ...]) -> bool:
    if not fn.parameters:
        return True
    name = fn.parameters[0].name.name
    required = sum(p.default is None and not p.variadic for p in fn.parameters)
    given = sum(a.name is None for a in arguments)
    return given >= required or any(a.name is not None and a.name.name == name for a in arguments)


def apply_partial(partial: Partial, values: list[CValue], body: Body, span: Span) -> CValue:
    """The waiting call, with its first argument."""
    if len(values) != 1:
        raise Fault("TRX0410", f"`{partial.span.text}` waits for one value, and is given {len(values)}", span)
    local = replace(partial.body, variables={**partial.body.variables, "%first": values[0]}, frame=body.frame)
    first = ast.Argument(span, None, ast.Name(span, "%first"))
    arguments = (first, *partial.arguments)
    if isinstance(partial.function, OpRef):
        return call_op(partial.function, arguments, local, partial.span)
    return call_fn(partial.function, arguments, local, partial.span)


# --------------------------------------------------------------------------- ops


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
                raise Fault("TRX0410", f"`{op.name}` takes {len(names)} arguments, and this is one more", argument.span)
            if variadic is not None and position >= names.index(variadic.name):
                extra.append(argument)
                continue
            name, position = names[position], position + 1
        else:
            name = argument.name.name
            if name not in names:
                if takes_letters:
                    letters[name] = argument
                    continue
                near = nearest(name, names)
                raise Fault("TRX0409", f"`{op.name}` has no argument `{name}`", argument.name.span, helps=near)
        if name in given:
            raise Fault("TRX0411", f"argument `{name}` is given twice", argument.span)
        given[name] = argument
    if variadic is not None and extra:
        given[variadic.name] = _gathered(extra)
    return given, letters


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
        value = float(value.known)
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
        return axes.resolve_axes(AxesRef(tuple(i for i in items if isinstance(i, int)), "the default"), type_, span)
    if slot.kind == "axis" and isinstance(default, int):
        return axes.resolve_axes(AxesRef((default,), str(default)), operands[0].type, span)[0]
    return cast("Attribute", default)  # `_is_required` has seen to those that have none


def _setting(slot: Setting, expression: ast.Expr, op: OpDefinition, operands: list[Value], body: Body) -> Attribute:
    span = expression.span
    if slot.kind in ("axis", "axes"):
        found = _axes_setting(expression, operands, body)
        if slot.kind == "axes":
            return found
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


__all__ = ["Items", "assign", "bind", "call", "call_fn", "call_op", "instantiate", "missing_count", "snake", "stem_of"]
