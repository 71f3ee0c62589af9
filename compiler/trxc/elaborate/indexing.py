"""`x[…]`: items of lists at compile time, slices and gathers of tensors, and types in `data` records."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dims import Dim, dim
from ..ir import Attribute, Value
from ..source import Span
from ..syntax import ast
from ..types import DType
from . import evaluate as evaluation
from . import operators
from .body import Body
from .faults import Fault
from .values import CValue, Sequence, Size, TypeValue, describe


def index(node: ast.Index, body: Body) -> CValue:
    """The value of `value[items]`."""
    value = evaluation.evaluate(node.value, body)
    if isinstance(value, Sequence):
        return _item(value, node, body)
    if isinstance(value, DType):
        return TypeValue(value, tuple(_type_size(item, body) for item in node.items))
    if isinstance(value, Value):
        return _tensor(value, node, body)
    raise Fault("TRX0403", f"{describe(value)} has no items", node.value.span)


def _type_size(item: ast.Expr, body: Body) -> Dim | None:
    value = evaluation.evaluate(item, body)
    if not isinstance(value, Size):
        raise Fault("TRX0202", f"a size is a whole number, and this is {describe(value)}", item.span)
    return value.size


def _item(value: Sequence, node: ast.Index, body: Body) -> CValue:
    if len(node.items) != 1:
        raise Fault("TRX0403", "a list has one index", node.span)
    (item,) = node.items
    count = len(value.items)
    if isinstance(item, ast.Slice):
        bounds = [None if e is None else _known(e, body) for e in (item.start, item.stop)]
        return Sequence(value.items[slice(*bounds)])
    at = _known(item, body)
    if not -count <= at < count:
        raise Fault("TRX0209", f"there is no item {at} in a list of {count}", item.span)
    return value.items[at]


def _known(expression: ast.Expr, body: Body) -> int:
    from .builtins import known_int

    return known_int(expression, body, "an index")


@dataclass
class _Plan:
    """What an index does to each axis of the tensor, in order."""

    starts: list[Attribute] = field(default_factory=list[Attribute])
    stops: list[Attribute] = field(default_factory=list[Attribute])
    taken: list[tuple[int, Size, Span]] = field(default_factory=list[tuple[int, Size, Span]])
    gathered: list[tuple[int, Value, Span]] = field(default_factory=list[tuple[int, Value, Span]])
    new: list[int] = field(default_factory=list[int])
    sliced: bool = False


def _tensor(value: Value, node: ast.Index, body: Body) -> CValue:
    plan = _plan(value, _expanded(value, node), body)
    if plan.sliced:
        attributes: dict[str, Attribute] = {"starts": tuple(plan.starts), "stops": tuple(plan.stops)}
        value = operators.apply_op("slice", [value], attributes, body, node.span, [node.value.span])[0]
    if len(plan.gathered) > 1:
        raise Fault("TRX0403", "one index may be a tensor", plan.gathered[1][2])
    for axis, indices, span in plan.gathered:
        spans = [node.value.span, span]
        value = operators.apply_op("gather", [value, indices], {"along": axis}, body, node.span, spans)[0]
    for axis, place, span in reversed(plan.taken):
        attributes = {"index": (place.size, place.name), "along": axis}
        value = operators.apply_op("take_index", [value], attributes, body, node.span, [span])[0]
    for axis in plan.new:
        value = operators.apply_op("expand_dims", [value], {"at": axis}, body, node.span, [node.span])[0]
    return value


def _expanded(value: Value, node: ast.Index) -> list[ast.Expr]:
    """The items with `...` replaced by whole slices."""
    dots = [at for at, item in enumerate(node.items) if isinstance(item, ast.EllipsisValue)]
    if len(dots) > 1:
        raise Fault("TRX0403", "an index has one `...` at most", node.items[dots[1]].span)
    used = sum(not isinstance(item, ast.NoneValue | ast.EllipsisValue) for item in node.items)
    if used > value.type.rank:
        message = f"{used} indices for {value.type.rank} dims"
        raise Fault("TRX0205", message, node.span, label=f"the tensor is {value.type.show()}")
    rest: list[ast.Expr] = [ast.Slice(node.span, None, None)] * (value.type.rank - used)
    if not dots:
        return [*node.items, *rest]
    return [*node.items[: dots[0]], *rest, *node.items[dots[0] + 1 :]]


def _plan(value: Value, items: list[ast.Expr], body: Body) -> _Plan:
    plan = _Plan()
    axis = position = 0
    for item in items:
        if isinstance(item, ast.NoneValue):
            plan.new.append(position)
            position += 1
            continue
        size = value.type.axes[axis].size
        start: tuple[Dim, str | None] = (dim(0), None)
        stop: tuple[Dim, str | None] = (size, None)
        if isinstance(item, ast.Slice):
            start = _bound(item.start, body) or start
            stop = _bound(item.stop, body) or stop
            plan.sliced |= (start[0], stop[0]) != (dim(0), size)
            position += 1
        else:
            position += _single(item, axis, plan, body)
        plan.starts.append(start)
        plan.stops.append(stop)
        axis += 1
    return plan


def _single(item: ast.Expr, axis: int, plan: _Plan, body: Body) -> int:
    """An index that is no slice; how many axes it leaves."""
    index = evaluation.evaluate(item, body)
    if isinstance(index, Size):
        plan.taken.append((axis, index, item.span))
        return 0
    if isinstance(index, Value) and index.type.dtype.kind == "int":
        plan.gathered.append((axis, index, item.span))
        return index.type.rank
    raise Fault("TRX0206", f"an index is an int, a slice or an int tensor, and this is {describe(index)}", item.span)


def _bound(expression: ast.Expr | None, body: Body) -> tuple[Dim, str | None] | None:
    if expression is None:
        return None
    value = evaluation.evaluate(expression, body)
    if not isinstance(value, Size):
        raise Fault("TRX0206", f"the ends of a slice are ints, and this is {describe(value)}", expression.span)
    return value.size, value.name
