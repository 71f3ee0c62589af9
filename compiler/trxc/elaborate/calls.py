"""Calls: which argument goes to which parameter, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence as Items
from dataclasses import replace

from ..resolve import ItemRef, nearest, nearest_of_few
from ..source import Span
from ..syntax import ast
from . import apply, axes, builtins, op_calls, typing
from . import evaluate as evaluation
from .body import Body
from .declared import declare
from .faults import Fault
from .values import (
    LAYER_LIKE,
    BuiltinRef,
    CValue,
    DeclaredRef,
    FnRef,
    LayerInstance,
    LayerRef,
    OpRef,
    Partial,
    Sequence,
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
            return op_calls.call_op(function, node.arguments, body, node.span)
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
                near = nearest_of_few(name, [p.name.name for p in plain], "arguments")
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
    """Every parameter's value: given (evaluated in `body`) or by default (in `inner`, where earlier ones are bound).

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
            value = typing.check_argument(parameter, value, owner, place, at=at)
        values[name] = inner.variables[name] = value
    return values


def argument_value(parameter: ast.Parameter, expression: ast.Expr, body: Body) -> CValue:
    """The value of an argument: axes and fields are names where their parameter says so, all else is evaluated."""
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
        return op_calls.call_op(partial.function, arguments, local, partial.span)
    return call_fn(partial.function, arguments, local, partial.span)


__all__ = ["Items", "assign", "bind", "call", "call_fn", "instantiate", "missing_count", "snake", "stem_of"]
