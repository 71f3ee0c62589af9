"""Applies layers to tensors: instances become calls, compositions and combinators unfold in place."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir import Op, Path, Value
from ..ops import OPS, TypeFault
from ..resolve import ItemRef
from ..source import Span
from ..syntax import ast
from . import calls, loops, op_calls, operators, statements, typing
from . import evaluate as evaluation
from .body import Body, Frame, FunctionRecord, Namer, path_of
from .faults import Fault, Silent, counted
from .functions import build, call_function, find_parameter, key_of, known_parameters, plain_type, title_of
from .values import (
    LAYER_LIKE,
    BuiltinRef,
    Closure,
    Composition,
    Conditional,
    CValue,
    Declared,
    FnRef,
    Identity,
    LayerInstance,
    LayerRef,
    OpRef,
    Partial,
    Poison,
    Recurrent,
    Repeated,
    Sequence,
    describe,
)

SMALL = 3
"""A fn of up to so many ops is written out where it is called."""


class _NoTensorError(Exception):
    """A fn of tensors gives a number or nothing: it is no function of the program."""


def as_layer(value: CValue, span: Span) -> CValue:
    """The value, if it can be applied.

    Raises:
        Fault: it cannot.
    """
    if isinstance(value, LAYER_LIKE):
        return value
    if isinstance(value, Poison):
        raise Silent
    raise Fault("TRX0403", f"a layer is wanted here, and this is {describe(value)}", span)


def apply(
    layer: CValue, values: list[CValue], body: Body, span: Span, named: dict[str, CValue] | None = None
) -> CValue:
    """The result of a layer on values; `named` are inputs by name."""
    if any(isinstance(value, Poison) for value in values):
        raise Silent
    layer = instantiate_bare(layer, body, span) if isinstance(layer, LayerRef) else as_layer(layer, span)
    result = _apply(layer, values, body, span, named)
    if body.session.observer is not None:
        body.session.observer.applied(layer, span, values, result, body)
    return result


def _apply(layer: CValue, values: list[CValue], body: Body, span: Span, named: dict[str, CValue] | None) -> CValue:
    match layer:
        case LayerInstance() as instance:
            return apply_instance(instance, values, named or {}, body, span)
        case Repeated() | Recurrent() | Conditional() as combined:
            return _apply_combined(combined, values, body, span)
        case Composition(parts=parts):
            return _apply_parts(parts, values, body, span)
        case FnRef() | OpRef() | BuiltinRef() as function:
            return _apply_function(function, values, body, span)
        case Partial() as partial:
            return calls.apply_partial(partial, values, body, span)
        case Closure() as closure:
            return apply_closure(closure, values, body, span)
        case Identity():
            return values[0]
        case other:
            raise AssertionError(f"not a layer: {other}")


def _apply_combined(layer: Repeated | Recurrent | Conditional, values: list[CValue], body: Body, span: Span) -> CValue:
    match layer:
        case Repeated():
            return loops.apply_repeated(layer, values, body, span)
        case Recurrent():
            return loops.apply_recurrent(layer, values, body, span)
        case Conditional():
            return loops.apply_conditional(layer, values, body, span)


def instantiate_bare(ref: LayerRef, body: Body, span: Span) -> LayerInstance:
    """`LayerNorm` where a layer is wanted: with its defaults."""
    return calls.instantiate(ref, (), body, span)


def _apply_parts(parts: tuple[CValue, ...], values: list[CValue], body: Body, span: Span) -> CValue:
    result: CValue = values[0] if len(values) == 1 else Sequence(tuple(values))
    for at, part in enumerate(parts):
        result = apply(part, values if at == 0 else [result], body, _place(part, body, span))
    return result


def _place(part: CValue, body: Body, span: Span) -> Span:
    """Where a part of a composition is written, if that is in the program."""
    if isinstance(part, LayerInstance | Repeated | Recurrent | Conditional | Partial):
        return span if body.session.library.is_standard(part.span.source) else part.span
    return span


def _spread(values: list[CValue], wanted: int) -> list[CValue]:
    """A tuple that `branch` or `parallel` made, as so many values, where several are wanted."""
    (first, *rest) = values
    return list(first.items) if wanted > 1 and not rest and isinstance(first, Sequence) else values


FOLDING = frozenset({"add", "multiply", "minimum", "maximum", "logical_and", "logical_or"})
"""Ops of two operands that close a tuple of any length: `branch(f, g, h) >> add`."""


def _apply_op(function: OpRef, values: list[CValue], body: Body, span: Span) -> CValue:
    slots = function.op.operand_slots
    if not any(slot.variadic for slot in slots):
        values = _spread(values, len(slots))
    if function.op.name in FOLDING and len(values) > 2:
        values = [_apply_op(function, values[:-1], body, span), values[-1]]
    local = body.with_variables({f"%{at}": value for at, value in enumerate(values)})
    arguments = tuple(ast.Argument(span, None, ast.Name(span, f"%{at}")) for at in range(len(values)))
    return op_calls.call_op(function, arguments, local, span)


def _apply_function(function: FnRef | OpRef | BuiltinRef, values: list[CValue], body: Body, span: Span) -> CValue:
    if isinstance(function, OpRef):
        return _apply_op(function, values, body, span)
    local = body.with_variables({f"%{at}": value for at, value in enumerate(values)})
    arguments = tuple(ast.Argument(span, None, ast.Name(span, f"%{at}")) for at in range(len(values)))
    if isinstance(function, FnRef):
        return calls.call_fn(function, arguments, local, span)
    from . import builtins

    return builtins.BUILTINS[function.name](ast.Call(span, ast.Name(span, function.name), arguments), local)


def apply_closure(closure: Closure, values: list[CValue], body: Body, span: Span) -> CValue:
    """The body of a lambda, with its parameters bound."""
    names = [p.name for p in closure.expression.parameters]
    values = _spread(values, len(names))
    if len(names) != len(values):
        raise Fault("TRX0410", f"this `fn` takes {counted(len(names), 'value')}, and is given {len(values)}", span)
    inner = closure.body.with_variables(dict(zip(names, values, strict=True)))
    inner.frame = body.frame
    return evaluation.evaluate(closure.expression.body, inner)


# ---------------------------------------------------------------- instances


def apply_instance(
    instance: LayerInstance, values: list[CValue], named: dict[str, CValue], body: Body, span: Span
) -> CValue:
    """A layer with its arguments, applied: a call of its function, or (if it takes layers) its text in place."""
    item = instance.item.item
    assert isinstance(item, ast.Layer | ast.Extern)
    values = _spread(values, len(statements.input_signatures(item))) if values else values
    values = [operators.as_tensor(v, body, span) if not isinstance(v, Sequence | Value) else v for v in values]
    session = body.session
    with session.within(f"{title_of(instance)}, at {instance.span}", span, instance.item):
        if isinstance(item, ast.Extern):
            return statements.apply_extern(instance, item, values, body, span)
        if _must_unfold(instance, values, named):
            return _unfold(instance, item, values, named, body, span)
        return _call_instance(instance, item, values, named, body, span)


def _must_unfold(instance: LayerInstance, values: list[CValue], named: dict[str, CValue]) -> bool:
    inputs = [*values, *named.values()]
    return any(not isinstance(v, Value) for v in inputs) or any(_holds_layer(v) for v in instance.arguments.values())


def _holds_layer(value: CValue) -> bool:
    if isinstance(value, Sequence):
        return any(_holds_layer(item) or isinstance(item, Value) for item in value.items)
    return isinstance(value, LAYER_LIKE)


def _unfold(
    instance: LayerInstance, item: ast.Layer, values: list[CValue], named: dict[str, CValue], body: Body, span: Span
) -> CValue:
    path = reachable_path(instance, body.frame)
    inner = body.child(instance.item.unit, Namer(path, body.frame, body.frame.depth))
    inner.variables = dict(instance.arguments)
    inner.called = span
    _match_tensor_arguments(item, inner, span)
    return run_layer(item, inner, values, named, span)


def _call_instance(
    instance: LayerInstance, item: ast.Layer, values: list[CValue], named: dict[str, CValue], body: Body, span: Span
) -> CValue:
    tensors = {name: v for name, v in instance.arguments.items() if isinstance(v, Value)}
    inputs = [v for v in [*values, *named.values()] if isinstance(v, Value)]
    operands = [*inputs, *tensors.values()]
    path = reachable_path(instance, body.frame)
    session = body.session
    types = tuple(plain_type(v.type) for v in inputs)
    key = (instance.item, tuple((n, key_of(v)) for n, v in instance.arguments.items()), types, tuple(named),
           session.training, session.symbolic)  # fmt: skip

    def unit_body(frame: Frame) -> Body:
        return Body(session, frame, instance.item.unit, Namer((), frame, 0))

    def run(inner: Body, arguments: list[Value]) -> CValue:
        inner.variables = dict(instance.arguments)
        inner.variables.update(zip(tensors, arguments[len(inputs) :], strict=True))
        inner.called = span
        _match_tensor_arguments(item, inner, span)
        positional: list[CValue] = list(arguments[: len(values)])
        by_name: dict[str, CValue] = dict(zip(named, arguments[len(values) : len(inputs)], strict=True))
        return run_layer(item, inner, positional, by_name, span)

    names = [*_input_names(item, len(values)), *named, *tensors]
    pairs = [(name, operand.type) for name, operand in zip(names, operands, strict=True)]
    record = build(session, key, calls.stem_of(instance), pairs, unit_body, run,
                   title=title_of(instance), doc=item.doc, span=item.name.span)  # fmt: skip
    if session.library.is_standard(span.source):  # a combinator applies what the program gave it
        span = _place(instance, body, span)
    return call_function(record, operands, path, body, span)


def _input_names(item: ast.Layer, count: int) -> list[str]:
    declared = [s.name.name for s in statements.input_signatures(item)]
    return (
        [*declared, *(f"x{n}" for n in range(len(declared), count))][:count]
        if declared
        else (["x"] if count == 1 else [f"x{n}" for n in range(count)])
    )


def _match_tensor_arguments(item: ast.Layer, inner: Body, span: Span) -> None:
    for parameter in item.parameters:
        value = inner.variables.get(parameter.name.name)
        if parameter.type is not None and typing.is_tensor_type(parameter.type) and isinstance(value, Value):
            typing.match(parameter.type, value, inner, span, entering=True)


def run_layer(item: ast.Layer, inner: Body, values: list[CValue], named: dict[str, CValue], span: Span) -> CValue:
    """A layer's text on values: its statements, or the layer that it is defined as."""
    if inner.session.observer is not None:
        inner.session.observer.entered(item, inner)
    if item.value is not None:
        return apply(evaluation.evaluate(item.value, inner), values, inner, span, named)
    assert item.body is not None
    return statements.run_body(item, inner, values, named, span)


def reachable_path(instance: LayerInstance, frame: Frame) -> Path:
    """Where an instance's weights stand, seen from the frame's current parameter root.

    Raises:
        Unreachable: they stand outside of the loop that is being built.
    """
    if instance.namer.depth != frame.depth or instance.namer.frame is not frame:
        raise loops.Unreachable(instance)
    return path_of(instance, calls.stem_of(instance))


# ---------------------------------------------------------------------- fns


def run_fn(
    ref: ItemRef, fn: ast.Fn, values: dict[str, CValue], body: Body, span: Span, places: dict[str, Span]
) -> CValue:
    """A fn on its arguments: a function of the program if it is long and takes only tensors and numbers.

    `places` are where the arguments stand, by name.
    """
    tensors = {name: v for name, v in values.items() if isinstance(v, Value)}
    inline = not tensors or any(_holds_layer(v) for v in values.values())
    if not inline:
        record = _fn_record(ref, fn, values, tensors, body, span, places)
        if record is not None:
            return call_function(record, list(tensors.values()), (), body, span)
    inner = body.child(ref.unit, body.namer)
    inner.variables = dict(values)
    return _fn_body(fn, inner, span, places)


def _fn_record(
    ref: ItemRef, fn: ast.Fn, values: dict[str, CValue], tensors: dict[str, Value], body: Body, span: Span,
    places: dict[str, Span],
) -> FunctionRecord | None:  # fmt: skip
    """The fn's function, or None where it is short enough to be written out (or gives no tensor)."""
    session = body.session
    key = ("fn", ref, tuple((n, key_of(v)) for n, v in values.items()), session.training, session.symbolic)
    if key in session.short:
        return None

    def unit_body(frame: Frame) -> Body:
        return Body(session, frame, ref.unit, Namer((), frame, 0))

    def run(inner: Body, arguments: list[Value]) -> CValue:
        inner.variables = {**values, **dict(zip(tensors, arguments, strict=True))}
        result = _fn_body(fn, inner, span, places)
        if not isinstance(result, Value | Sequence):
            raise _NoTensorError
        return result

    pairs = [(name, v.type) for name, v in tensors.items()]
    try:
        record = build(session, key, calls.snake(fn.name.name), pairs, unit_body, run,
                       title=fn.name.name, doc=fn.doc, span=fn.name.span)  # fmt: skip
    except _NoTensorError:
        del session.functions[key]
        session.short.add(key)
        return None
    ops = sum(op.kind not in ("constant", "size") for op in record.function.body.walk())
    if ops <= SMALL or any(_draws(op) for op in record.function.body.walk()):
        session.short.add(key)
        return None
    return record


def _draws(op: Op) -> bool:
    """Whether an op draws random numbers: a fn has no path, and its calls would all draw the same."""
    return op.kind in OPS and OPS[op.kind].random


def _fn_body(fn: ast.Fn, inner: Body, span: Span, places: dict[str, Span]) -> CValue:
    for parameter in fn.parameters:
        value, place = inner.variables[parameter.name.name], places.get(parameter.name.name, span)
        if parameter.type is None or not typing.is_tensor_type(parameter.type) or value is None:
            continue
        tensor = operators.as_tensor(value, inner, place)
        inner.variables[parameter.name.name] = tensor
        typing.match(parameter.type, tensor, inner, place, entering=True)
    if inner.session.observer is not None:
        inner.session.observer.entered(fn, inner)
    result = evaluation.evaluate(fn.body, inner)
    if fn.result is not None and typing.is_tensor_type(fn.result):
        result = operators.as_tensor(result, inner, fn.body.span)
        typing.match(fn.result, result, inner, fn.body.span)
    return result


def instances_in(value: CValue) -> Iterator[LayerInstance]:
    """The layer instances that a value is made of, arguments included."""
    match value:
        case LayerInstance():
            yield value
            for argument in value.arguments.values():
                yield from instances_in(argument)
        case Composition(parts=parts) | Sequence(items=parts):
            for part in parts:
                yield from instances_in(part)
        case Repeated(layer=layer):
            yield from instances_in(layer)
        case Recurrent(cell=cell):
            yield from instances_in(cell)
        case _:
            return


__all__ = ["Declared", "TypeFault", "apply", "as_layer", "find_parameter", "known_parameters", "run_fn", "run_layer"]
