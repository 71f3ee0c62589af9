"""Elaborates whole things: a model with the sizes it has, or a layer by itself with every size a symbol."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Diagnostic
from ..dims import dim
from ..ir import Function, Region, Value
from ..resolve import ItemRef
from ..source import Span
from ..syntax import ast
from ..types import DTYPES, Axis
from . import calls, statements, typing
from . import evaluate as evaluation
from .apply import as_layer, run_layer
from .body import Body, Frame, FunctionRecord, Namer, Session
from .faults import Fault, NeedsKnown, Silent
from .functions import flatten, title_of
from .values import CValue, Identity, LayerInstance, Sequence, Size

MAX_PINS = 32
STAND_IN = 4


@dataclass
class Root:
    """A model's function and what its parameters are."""

    function: Function
    body: Body
    record: FunctionRecord
    symbols: dict[str, Axis | tuple[Axis, ...]]
    item: ast.Layer


def elaborate_model(session: Session, ref: ItemRef) -> Root | None:
    """The function of a model, by the defaults of its parameters and the session's settings; None where it is wrong."""
    item = ref.item
    assert isinstance(item, ast.Layer)
    try:
        with session.within(f"{ref.name}", item.name.span):
            return _root(session, ref, item, pins=None)
    except Fault as fault:
        session.report(fault)
    except Silent:
        pass
    return None


def check_layer(session: Session, ref: ItemRef) -> None:
    """Checks a layer by itself: every size is a symbol, but those that must be known are what they default to."""
    item = ref.item
    assert isinstance(item, ast.Layer)
    pins: dict[str, CValue] = {}
    for _ in range(MAX_PINS):
        trial = Session(
            session.library, type(session.diagnostics)(), training=session.training, symbolic=True,
            consts=session.consts, circles=session.circles, stand_ins=dict.fromkeys(pins, STAND_IN),
            observer=session.observer,
        )  # fmt: skip
        try:
            with trial.within(f"{ref.name}, checked by itself", item.name.span):
                if item.value is not None:
                    _check_value(trial, ref, item, item.value, pins)
                else:
                    _root(trial, ref, item, pins)
        except Fault as fault:
            trial.report(fault)
        except Silent:
            pass
        unknown = [symbol for problem in trial.needs for symbol in problem if symbol not in pins]
        if not unknown:
            _report_trial(session, trial)
            return
        pins.update(dict.fromkeys(unknown))


def _check_value(session: Session, ref: ItemRef, item: ast.Layer, value: ast.Expr, pins: dict[str, CValue]) -> None:
    """A layer that is an expression of others: whether it is a layer can be told; its input cannot."""
    frame = Frame(Function("value", Region([])), session)
    frame.regions.append(frame.function.body)
    body = Body(session, frame, ref.unit, Namer((), frame, 0))
    _bind_parameters(item, body, ref, pins)
    as_layer(calls.settle(evaluation.evaluate(value, body), body, value.span), value.span)


def _report_trial(session: Session, trial: Session) -> None:
    for diagnostic in trial.diagnostics:
        session.diagnostics.add(diagnostic)
    for division in trial.constraints:
        if trial.required.is_whole(division.numerator.divided_by(division.divisor)):
            continue
        numerator, divisor = division.numerator, division.divisor
        condition = f"require {numerator} % {f'({divisor})' if ' ' in str(divisor) else divisor} == 0"
        message = f"`{division.text}` is a whole number only where `{divisor}` divides `{numerator}`"
        help_ = f"`{condition}` says so"
        session.diagnostics.add(Diagnostic("TRX0210", message, division.span, helps=(help_,), trail=division.trail))


def _root(session: Session, ref: ItemRef, item: ast.Layer, pins: dict[str, CValue] | None) -> Root:
    if item.value is not None:
        raise Fault("TRX0414", f"model `{ref.name}` declares no `input`, so nothing says what it takes", item.name.span)
    function = Function(session.fresh(calls.snake(ref.name)), Region([]), doc=item.doc, span=item.name.span)
    frame = Frame(function, session, [function.body])
    namer = Namer((), frame, 0)
    body = Body(session, frame, ref.unit, namer, is_root=pins is None)
    _bind_parameters(item, body, ref, pins)
    body.parameter_names = frozenset(p.name.name for p in item.parameters)
    given = _inputs(item, body, function)
    function.title = title_of(
        LayerInstance(ref, {k: v for k, v in body.variables.items() if k in body.parameter_names}, namer, item.span)
    )
    result = run_layer(item, body, [], given, item.name.span)
    function.body.results = flatten(result, item.name.span)
    if frame.carries and pins is None:
        carried = frame.carries[0]
        help_ = "a cell is run along a dim: `recur(Cell, over = seq)`"
        message = f"`{carried.name}` is carried from step to step, and `{ref.name}` takes no steps"
        raise Fault("TRX0415", message, carried.span, helps=[help_])
    function.output_names = [name for name, _ in body.outputs]
    record = FunctionRecord(function, frame.labels, frame.carries, single=not isinstance(result, Sequence))
    return Root(function, body, record, dict(body.dims), item)


def _inputs(item: ast.Layer, body: Body, function: Function) -> dict[str, CValue]:
    """The inputs of a root as values of symbolic sizes; optional ones are not there."""
    given: dict[str, CValue] = {}
    statements.declare_leading_dims(item, body)
    for signature in statements.input_signatures(item):
        if signature.default is not None or signature.type.optional:
            continue
        name = signature.name.name
        if signature.type.dims is None and signature.type.name.name in ("any", "tuple"):
            given[name] = _opaque(name, signature.type, function)
            continue
        value = Value(typing.symbolic_type(signature.type, body), name)
        function.body.arguments.append(value)
        typing.match(signature.type, value, body, signature.name.span, entering=not body.is_root)
        given[name] = value
    return given


def _opaque(name: str, type_: ast.TypeExpr, function: Function) -> CValue:
    """Stands for `any` (a tensor of some floats) or a tuple (of three) while a layer is checked by itself."""
    from ..types import FLOAT, TensorType, axis

    values = [Value(TensorType(FLOAT, (axis("batch"), axis("features"))), name) for _ in range(3)]
    if type_.name.name == "tuple":
        function.body.arguments.extend(values)
        return Sequence(tuple(values))
    function.body.arguments.append(values[0])
    return values[0]


def _bind_parameters(item: ast.Layer, body: Body, ref: ItemRef, pins: dict[str, CValue] | None) -> None:
    overrides = body.session.overrides.get(ref.name, {}) if pins is None else {}
    for parameter in item.parameters:
        name = parameter.name.name
        if (name,) in overrides:
            expression = overrides[(name,)]
            value = calls.argument_value(parameter, expression, body)
            value = typing.check_argument(parameter, value, ref.name, expression.span)
        elif pins is not None:
            value = _symbolic_argument(parameter, body, pins)
        elif parameter.default is not None:
            value = evaluation.evaluate(parameter.default, body)
            value = typing.check_argument(parameter, value, ref.name, parameter.default.span)
        else:
            value = _unset(parameter, body)
        body.variables[name] = Size(value.size, name, value.origin) if isinstance(value, Size) else value


def _unset(parameter: ast.Parameter, body: Body) -> CValue:
    """What a model's parameter without a value is: an int is a symbol, anything else must be given."""
    kind = parameter.type.name.name if parameter.type else ""
    if kind == "int" and not typing.is_tensor_type(parameter.type):
        return Size(dim(parameter.name.name), parameter.name.name)
    name = parameter.name.name
    help_ = f"give it a default, or a value with `--set {body.frame.function.name}.{name}=…`"
    raise Fault("TRX0412", f"parameter `{name}` has no value", parameter.span, helps=[help_])


def _symbolic_argument(parameter: ast.Parameter, body: Body, pins: dict[str, CValue]) -> CValue:
    name, type_ = parameter.name.name, parameter.type
    kind = type_.name.name if type_ else "any"
    if parameter.variadic:
        return Sequence((Identity(), Identity()) if kind == "layer" else ())
    if type_ is not None and typing.is_tensor_type(type_):
        if type_.optional or isinstance(parameter.default, ast.NoneValue):
            return None
        value = Value(typing.symbolic_type(type_, body), name)
        body.frame.function.body.arguments.append(value)
        typing.match(type_, value, body, parameter.span, entering=True)
        return value
    if kind == "layer":
        return Identity()
    if kind == "int" and name not in pins and not isinstance(parameter.default, ast.NoneValue):
        return Size(dim(name), name)
    if parameter.default is not None:
        value = calls.argument_value(parameter, parameter.default, body)
        return typing.check_argument(parameter, value, name, parameter.default.span)
    return _stand_in(kind, parameter)


def _stand_in(kind: str, parameter: ast.Parameter) -> CValue:
    values: dict[str, CValue] = {
        "int": Size(dim(2)), "float": 0.5, "bool": False, "string": "", "dtype": DTYPES["float"],
        "list": Sequence((Size(dim(2)), Size(dim(2)))), "initializer": 0.0, "any": None,
    }  # fmt: skip
    if kind not in values:
        raise Silent
    return values[kind]


__all__ = ["NeedsKnown", "Root", "Span", "check_layer", "elaborate_model"]
