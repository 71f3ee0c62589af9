"""Function instances: one IR function a distinct (layer, arguments, input types)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir import Attribute, Function, Parameter, Path, Region, Value
from ..source import Span
from ..types import Axis, TensorType
from .body import Body, Frame, FunctionRecord, Session
from .faults import Fault, Silent
from .values import Chain, CValue, Declared, LayerInstance, Sequence, Size


def key_of(value: CValue) -> object:
    """What an argument contributes to the identity of a function instance; tensors count by type."""
    if isinstance(value, Value):
        return ("tensor", plain_type(value.type))
    if isinstance(value, Size):
        return ("int", value.size, value.name)
    if isinstance(value, float):
        return ("float", repr(value))  # 0.0 and -0.0 are equal, and nan is not equal to itself
    if isinstance(value, Sequence):
        return ("list", tuple(key_of(item) for item in value.items))
    if isinstance(value, Declared):
        return (value.kind, value.target, tuple((n, key_of(v)) for n, v in value.arguments))
    if isinstance(value, Chain):
        return (value.kind, tuple(key_of(part) for part in value.parts))
    return (type(value).__name__, value)


def plain_type(type_: TensorType) -> TensorType:
    """The type without names that are local to a layer."""
    return type_.with_axes(tuple(Axis(a.size, a.public_name) for a in type_.axes))


def build(
    session: Session, key: object, stem: str, inputs: list[tuple[str, TensorType]], unit_body: Callable[[Frame], Body],
    run: Callable[[Body, list[Value]], CValue], *, title: str, doc: str, span: Span,
) -> FunctionRecord:  # fmt: skip
    """The function instance for `key`: found, or built by `run` in a frame of its own."""
    if key in session.functions:
        record = session.functions[key]
        if record.building:
            item = session.stack[-1].item
            raise session.circle(item) if item is not None else Silent
        if record.failed:
            raise Silent
        return record
    arguments = [Value(plain_type(type_), name) for name, type_ in inputs]
    function = Function(session.fresh(stem), Region(arguments), doc=doc, title=title, span=span)
    frame = Frame(function, session, [function.body])
    record = FunctionRecord(function, frame.labels, frame.carries)
    session.functions[key] = record
    record.failed = record.building = True
    body = unit_body(frame)
    try:
        result = run(body, list(arguments))
        function.body.results = [*flatten(result, span), *_next_values(frame, span)]
    except Fault as fault:
        session.report(fault)
        raise Silent from None
    finally:
        record.building = False
    if frame.failed:
        raise Silent
    record.single = not isinstance(result, Sequence)
    record.failed = False
    function.output_names = [name for name, _ in body.outputs] if body.outputs else ["output"]
    return record


def _next_values(frame: Frame, span: Span) -> list[Value]:
    values: list[Value] = []
    for carried in frame.carries:
        if carried.name not in frame.next_carries:
            help_ = f"`next {carried.name} = …` sets it; `{carried.name} = …` is another value by the same name"
            raise Fault("TRX0415", f"`next {carried.name}` is never set", carried.span, helps=[help_])
        values.append(frame.next_carries[carried.name])
    return values


def flatten(value: CValue, span: Span) -> list[Value]:
    """The tensors of a result: one, or those of a tuple."""
    if isinstance(value, Value):
        return [value]
    if isinstance(value, Sequence):
        return [tensor for item in value.items for tensor in flatten(item, span)]
    from .values import describe

    raise Fault("TRX0206", f"a layer gives tensors, and this is {describe(value)}", span)


def call_function(record: FunctionRecord, operands: list[Value], path: Path, body: Body, span: Span) -> CValue:
    """Calls a function instance: its results, with their axes named as the caller knows them."""
    frame = body.frame
    function = record.function
    carries = [add_carry(frame, carried) for carried in record.carries]
    types = [_outward(value.type, record, operands) for value in function.results]
    attributes: dict[str, Attribute] = {"callee": function.name, "path": path}
    op = frame.add("call", [*operands, *carries], attributes, types, span)
    results = op.results[: len(op.results) - len(carries)]
    for carried, following in zip(record.carries, op.results[len(results) :], strict=True):
        set_carry(frame, carried.name, following)
    return results[0] if record.single else Sequence(tuple(results))


def _outward(type_: TensorType, record: FunctionRecord, operands: list[Value]) -> TensorType:
    """A result's type outside: local names give way to what the caller calls the axis."""
    names = {
        inner.name: outer.name
        for argument, operand in zip(record.function.inputs, operands, strict=False)
        for inner, outer in zip(argument.type.axes, operand.type.axes, strict=False)
        if inner.name is not None and inner.name.startswith("%")
    }
    axes = [Axis(a.size, names.get(a.name)) if a.name is not None and a.name.startswith("%") else a for a in type_.axes]
    return type_.with_axes(tuple(axes))


# ------------------------------------------------------------------ carries


def add_carry(frame: Frame, carried: object) -> Value:
    """A carry's value in this step: an argument of the `recur` around here, else of the function itself."""
    from .body import Carried

    assert isinstance(carried, Carried)
    value = Value(carried.type, carried.name)
    if frame.recurs:
        context = frame.recurs[-1]
        context.arguments.append(value)
        context.carries.append(carried)
    else:
        frame.function.body.arguments.append(value)
        frame.carries.append(carried)
    return value


def set_carry(frame: Frame, name: str, value: Value) -> None:
    """The carry's value for the next step."""
    if frame.recurs:
        frame.recurs[-1].following.append(value)
    else:
        frame.next_carries[name] = value


# ------------------------------------------------------------------ parameters


def declare_parameter(frame: Frame, parameter: Parameter, span: Span) -> None:
    """Adds a weight to the function; the same one may be declared again by a layer that is applied twice.

    Raises:
        Fault: another weight stands there already.
    """
    path = (*frame.base, *parameter.path)
    placed = replace(parameter, path=path)
    known = frame.function.parameters.get(path)
    if known is not None and known != placed:
        raise Fault("TRX0416", f"two different weights are called `{placed.name}`", span)
    frame.function.parameters[path] = placed


def find_parameter(frame: Frame, path: Path) -> Parameter | None:
    """The weight at a path below the current function, where it is known already."""
    path = (*frame.base, *path)
    for owner, prefix in _owners(frame):
        if path[: len(prefix)] == prefix and path[len(prefix) :] in owner.parameters:
            return owner.parameters[path[len(prefix) :]]
    return None


def known_parameters(frame: Frame, prefix: Path) -> list[str]:
    """The names of the weights directly at `prefix`."""
    prefix = (*frame.base, *prefix)
    return [path[-1] for owner, base in _owners(frame) for path in owner.parameters if (*base, *path[:-1]) == prefix]


def _owners(frame: Frame) -> list[tuple[Function, Path]]:
    """Functions with weights of their own under this one, with where they hang."""
    functions = {record.function.name: record.function for record in frame.session.functions.values()}
    found: list[tuple[Function, Path]] = []

    def visit(function: Function, regions: list[Region], prefix: Path) -> None:
        found.append((function, prefix))
        for region in regions:
            for op in region.ops:
                if op.kind == "call":
                    callee = functions[str(op.attributes["callee"])]
                    visit(callee, [callee.body], (*prefix, *op.path()))

    visit(frame.function, frame.regions[:1], ())
    if frame.base:
        visit(frame.function, frame.regions[-1:], frame.base)
    return found


def title_of(instance: LayerInstance) -> str:
    """How a trail shows an instance: `Block(heads = 6)`."""
    shown: list[str] = []
    for name, value in instance.arguments.items():
        if isinstance(value, Size | float | bool | str) and not isinstance(value, str):
            shown.append(f"{name} = {value}".replace("True", "true").replace("False", "false"))
    return f"{instance.item.name}({', '.join(shown[:4])})" if shown else instance.item.name
