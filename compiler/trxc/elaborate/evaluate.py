"""Evaluates expressions: numbers, names and layers at compile time, tensors into ops of the frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from ..dims import dim
from ..ir import Value
from ..ops import OPS
from ..resolve import ItemRef, elsewhere, nearest
from ..source import Span
from ..syntax import ast
from ..types import DTYPES, Axis
from . import apply, builtins, calls, indexing, operators
from .body import Body, path_of
from .faults import Fault, NeedsKnown, Silent
from .values import (
    POISON,
    BuiltinRef,
    Closure,
    Composition,
    Condition,
    CValue,
    DeclaredRef,
    FnRef,
    LayerInstance,
    LayerRef,
    OpRef,
    Poison,
    Sequence,
    Size,
    describe,
    whole,
)

MAX_LIST = 10_000
MAX_WEIGHT = 100_000
"""Items of a list, with those of all lists in it: a few lines can name one that doubles with each of them."""
MAX_CONSTS = 500
"""Consts that are each defined by the next."""
CONSTANTS = {"inf": math.inf, "pi": math.pi}


def evaluate(expression: ast.Expr, body: Body) -> CValue:
    """The value of an expression.

    Raises:
        Fault: it has none.
        Silent: it rests on something that has been reported already.
    """
    handler = cast("Callable[[Any, Body], CValue]", _HANDLERS[type(expression)])
    value = handler(expression, body)
    if isinstance(value, Poison):
        raise Silent
    if isinstance(value, Sequence) and value.weight > MAX_WEIGHT:
        raise Fault("TRX0402", f"a list with more than {MAX_WEIGHT:,} items in it", expression.span)
    if body.session.observer is not None:
        body.session.observer.evaluated(expression.span, value, body)
    return value


def evaluate_tensor(expression: ast.Expr, body: Body) -> Value:
    """The value of an expression that must be a tensor; numbers become constants."""
    return operators.as_tensor(evaluate(expression, body), body, expression.span)


def _number(node: ast.Number, body: Body) -> CValue:
    return Size(dim(node.value), None, node.span) if isinstance(node.value, int) else node.value


def _literal(node: ast.String | ast.Bool, body: Body) -> CValue:
    return node.value


def _none(node: ast.NoneValue, body: Body) -> CValue:
    return None


def _malformed(node: ast.Malformed, body: Body) -> CValue:
    raise Silent


def _misplaced(node: ast.Slice | ast.EllipsisValue | ast.Names, body: Body) -> CValue:
    raise Fault("TRX0403", f"`{node.span.text}` has no meaning here", node.span)


def _name(node: ast.Name, body: Body) -> CValue:
    return lookup(node.name, body, node.span)


def lookup(name: str, body: Body, span: Span) -> CValue:
    """What a name means: a local, a dim, an item, a builtin, an op, a dtype.

    Raises:
        Fault: nothing is called so.
    """
    if name in body.variables:
        return body.variables[name]
    if name in body.dims:
        return _dim_as_number(name, body.dims[name], span)
    if name == "training":
        return body.session.training
    item = find_item(name, body)
    if item is not None:
        return item_value(item, body, span)
    if name in CONSTANTS:
        return CONSTANTS[name]
    if name in builtins.BUILTINS:
        return BuiltinRef(name)
    if name in OPS and OPS[name].public:
        return OpRef(OPS[name])
    if name in DTYPES:
        return DTYPES[name]
    raise unknown_name(name, body, span)


def find_item(name: str, body: Body) -> ItemRef | None:
    """The top-level item that a name means; in a record, what the library offers for it comes before its layers."""
    library = body.session.library
    own = body.unit.own(name)
    if own is None:
        for module in body.modules:
            item = library.standard(module).own(name)
            if item is not None:
                return item
    return own or library.lookup(body.unit, name)


def unknown_name(name: str, body: Body, span: Span) -> Fault:
    """The fault for a name that means nothing, with the nearest that does."""
    public_ops = [op for op in OPS if OPS[op].public]
    candidates = {*body.variables, *body.dims, *body.session.library.visible(body.unit), *public_ops, *DTYPES}
    for module in body.modules:
        candidates.update(body.session.library.standard(module).names())
    helps = nearest(name, {*body.variables, *body.dims}) or elsewhere(name) or nearest(name, candidates)
    if name == "total_steps":
        helps = ("`steps = …` in the recipe says it, or as an argument here",)
    helps = helps or body.session.library.offers(name)
    body.variables.setdefault(name, POISON)  # said once
    return Fault("TRX0301", f"nothing is called `{name}` here", span, helps=helps, notes=body.remarks)


def _dim_as_number(name: str, dim: Axis | tuple[Axis, ...], span: Span) -> CValue:
    if isinstance(dim, tuple):
        raise Fault("TRX0403", f"`...{name}` stands for several dims and is no number", span)
    return Size(dim.size, dim.public_name)


def item_value(item: ItemRef, body: Body, span: Span) -> CValue:
    """The value of a top-level item where it is named."""
    match item.item:
        case ast.Layer():
            return LayerRef(item)
        case ast.Fn():
            return FnRef(item)
        case ast.Extern():
            return LayerRef(item) if item.kind == "layer" else DeclaredRef(item)
        case ast.Const():
            return _const(item, item.item, body)
        case _:
            raise Fault("TRX0403", f"`{item.name}` is a {item.kind} record and has no value here", span)


def _without_layers(value: CValue, item: ItemRef, node: ast.Const) -> CValue:
    """The value of a const, which is the same wherever it is named; a layer has weights of its own in each place."""
    if any(apply.instances_in(value)):
        help_ = f"`layer {''.join(part.title() for part in item.name.split('_'))} = …` names a layer"
        raise Fault("TRX0403", "a const is a value, and this is a layer", node.value.span, helps=[help_])
    return value


def _const(item: ItemRef, node: ast.Const, body: Body) -> CValue:
    session = body.session
    if item not in session.consts:
        if item in session.evaluating:
            raise Fault("TRX0404", f"`{item.name}` is defined by itself", node.name.span)
        if len(session.evaluating) >= MAX_CONSTS:
            raise Fault("TRX0401", f"more than {MAX_CONSTS} consts are defined by one another", node.name.span)
        session.evaluating.append(item)
        try:
            session.consts[item] = _without_layers(evaluate(node.value, body.child(item.unit, body.namer)), item, node)
        except (Fault, Silent):
            if not session.symbolic:
                session.consts[item] = POISON  # reported once, wherever it is named
            raise
        finally:
            session.evaluating.pop()
    return session.consts[item]


def _sequence(node: ast.TupleExpr | ast.ListExpr, body: Body) -> CValue:
    return Sequence(tuple(calls.settle(evaluate(item, body), body, item.span) for item in node.items))


def _comprehension(node: ast.Comprehension, body: Body) -> CValue:
    over = evaluate(node.over, body)
    if not isinstance(over, Sequence):
        raise Fault("TRX0403", f"`for` goes over a list, and this is {describe(over)}", node.over.span)
    if len(over.items) > MAX_LIST:
        raise Fault("TRX0402", f"a list of more than {MAX_LIST:,} items", node.over.span)
    body.session.take_steps(1 + len(over.items) // 4, node.span)
    items: list[CValue] = []
    for item in over.items:
        inner = replace(body, variables={**body.variables, node.name.name: item})
        if node.condition is None or evaluate_flag(node.condition, inner):
            items.append(calls.settle(evaluate(node.item, inner), body, node.item.span))
    return Sequence(tuple(items))


def evaluate_flag(expression: ast.Expr, body: Body) -> bool:
    """The value of an expression that must be a bool known at compile time."""
    value = evaluate(expression, body)
    if isinstance(value, bool):
        return value
    if isinstance(value, Condition):
        symbols = frozenset(symbol.name for side in (value.left, value.right) for symbol in side.symbols)
        raise NeedsKnown(symbols, f"`{value}` must be known at compile time", expression.span)
    if isinstance(value, Value):
        help_ = "`where(condition, a, b)` chooses between tensors at run time"
        raise Fault("TRX0406", "`if` is decided at compile time, and this is a tensor", expression.span, helps=[help_])
    raise Fault(
        "TRX0406", f"a condition is a bool known at compile time, and this is {describe(value)}", expression.span
    )


def _call(node: ast.Call, body: Body) -> CValue:
    return calls.call(node, body)


def _attribute(node: ast.Attribute, body: Body) -> CValue:
    if isinstance(node.value, ast.Name) and node.value.name in body.unit.spaces:
        space = body.unit.spaces[node.value.name]
        item = space.own(node.name.name)
        if item is None:
            name = node.name.name
            raise Fault(
                "TRX0303", f"`{node.value.name}` has no `{name}`", node.name.span, helps=nearest(name, space.names())
            )
        return item_value(item, body, node.span)
    value = evaluate(node.value, body)
    if isinstance(value, LayerInstance):
        return _weight(value, node, body)
    if isinstance(value, Value):
        return _tensor_attribute(value, node)
    raise Fault("TRX0403", f"{describe(value)} has no attribute `{node.name.name}`", node.name.span)


def _tensor_attribute(value: Value, node: ast.Attribute) -> CValue:
    match node.name.name:
        case "shape":
            return Sequence(tuple(Size(axis.size, axis.public_name) for axis in value.type.axes))
        case "rank":
            return whole(value.type.rank)
        case "dtype":
            return value.type.dtype
        case name:
            known = nearest(name, ["shape", "rank", "dtype"])
            raise Fault("TRX0403", f"a tensor has no attribute `{name}`", node.name.span, helps=known)


def _weight(instance: LayerInstance, node: ast.Attribute, body: Body) -> CValue:
    """`table.w`: a weight of a layer that has a name and has been applied, so that its size is known."""
    path = (*path_of(instance, calls.stem_of(instance)), node.name.name)
    parameter = apply.find_parameter(body.frame, path)
    if parameter is None:
        layer = instance.item.name
        applied = apply.known_parameters(body.frame, path[:-1])
        if not applied:
            message = f"the weights of this `{layer}` are not known before it is applied"
            raise Fault("TRX0408", message, node.span, helps=["apply the layer above this line"])
        near = nearest(node.name.name, applied)
        raise Fault("TRX0303", f"`{layer}` has no weight `{node.name.name}`", node.name.span, helps=near)
    return body.frame.add("parameter", [], {"path": path}, [parameter.type], node.span).result


def _index(node: ast.Index, body: Body) -> CValue:
    return indexing.index(node, body)


def _unary(node: ast.Unary, body: Body) -> CValue:
    return operators.unary(node.operator, evaluate(node.operand, body), body, node.span)


def _binary(node: ast.Binary, body: Body) -> CValue:
    """Chains of one operator are as deep as they are long, so the left spine is walked, not recursed."""
    spine: list[ast.Binary] = [node]
    while isinstance(spine[-1].left, ast.Binary):
        spine.append(spine[-1].left)
    value = evaluate(spine[-1].left, body)
    for link in reversed(spine):
        if link.operator in ("and", "or") and isinstance(value, bool) and value == (link.operator == "or"):
            continue
        value = operators.binary(link, value, evaluate(link.right, body), body)
        if isinstance(value, Poison):
            raise Silent
    return value


def _pipe(node: ast.Pipe, body: Body) -> CValue:
    spine: list[ast.Pipe] = [node]
    while isinstance(spine[-1].value, ast.Pipe):
        spine.append(spine[-1].value)
    value = evaluate(spine[-1].value, body)
    for link in reversed(spine):
        value = apply.apply(evaluate(link.function, body), [value], body, link.function.span)
        if isinstance(value, Poison):
            raise Silent
        if body.session.observer is not None:
            body.session.observer.evaluated(link.span, value, body)
    return value


def _compose(node: ast.Compose, body: Body) -> CValue:
    spine: list[ast.Compose] = [node]
    while isinstance(spine[-1].first, ast.Compose):
        spine.append(spine[-1].first)
    parts = [spine[-1].first, *(link.second for link in reversed(spine))]
    return compose([(calls.settle(evaluate(part, body), body, part.span), part.span) for part in parts])


def compose(parts: list[tuple[CValue, Span]]) -> CValue:
    """`f >> g`: a composition of layers, or a chain of declared things."""
    from .declared import as_chain, is_declared

    if any(is_declared(value) for value, _ in parts):
        return as_chain(parts)
    layers: list[CValue] = []
    for value, span in parts:
        layer = apply.as_layer(value, span)
        layers.extend(layer.parts if isinstance(layer, Composition) else [layer])
        if len(layers) > MAX_LIST:
            help_ = "`repeat(n, f)` is `n` copies of a layer"
            raise Fault("TRX0402", f"a composition of more than {MAX_LIST:,} layers", span, helps=[help_])
    return Composition(tuple(layers))


def _if(node: ast.IfExpr, body: Body) -> CValue:
    return evaluate(node.then if evaluate_flag(node.condition, body) else node.otherwise, body)


def _lambda(node: ast.Lambda, body: Body) -> CValue:
    return Closure(node, body)


def _next(node: ast.NextValue, body: Body) -> CValue:
    name = node.name.name
    for values in (body.next_carries, body.next_states):
        if name in values:
            return values[name]
    if f"%next {name}" in body.variables or body.variables.get(name) is POISON:
        raise Silent
    if name in body.carried or name in body.states:
        raise Fault("TRX0408", f"`next {name}` is used before it is set", node.span)
    raise Fault("TRX0301", f"no carry or state is called `{name}`", node.span, helps=nearest(name, body.carried))


_HANDLERS: dict[type, object] = {
    ast.Number: _number, ast.String: _literal, ast.Bool: _literal, ast.NoneValue: _none, ast.Name: _name,
    ast.TupleExpr: _sequence, ast.ListExpr: _sequence, ast.Comprehension: _comprehension, ast.Call: _call,
    ast.Attribute: _attribute, ast.Index: _index, ast.Unary: _unary, ast.Binary: _binary, ast.Pipe: _pipe,
    ast.Compose: _compose, ast.IfExpr: _if, ast.Lambda: _lambda, ast.NextValue: _next, ast.Malformed: _malformed,
    ast.Slice: _misplaced, ast.EllipsisValue: _misplaced, ast.Names: _misplaced,
}  # fmt: skip

__all__ = ["POISON", "compose", "evaluate", "evaluate_flag", "evaluate_tensor", "lookup", "unknown_name"]
