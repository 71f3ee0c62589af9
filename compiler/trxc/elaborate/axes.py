"""Axes as arguments: `over = keys`, `along = -1`, `over = spatial`."""

from __future__ import annotations

from ..resolve import nearest
from ..source import Span
from ..syntax import ast
from ..types import Axis, TensorType
from . import evaluate as evaluation
from .body import Body
from .faults import Fault, Silent
from .values import AxesRef, Poison, Sequence, Size


def axes_of(expression: ast.Expr, body: Body) -> AxesRef:
    """The axes that an argument names; which axes of which tensor they are, :func:`resolve_axes` says."""
    if isinstance(expression, ast.ListExpr | ast.TupleExpr):
        parts = [axes_of(item, body) for item in expression.items]
        return AxesRef(tuple(item for part in parts for item in part.items), expression.span.text)
    if isinstance(expression, ast.Name):
        return AxesRef(_named(expression.name, body), expression.span.text)
    value = evaluation.evaluate(expression, body)
    if isinstance(value, AxesRef):
        return value
    if isinstance(value, Size) and value.known is not None:
        return AxesRef((value.known,), expression.span.text)
    raise Fault("TRX0208", "an axis is the name of a dim or a whole number", expression.span)


def _named(name: str, body: Body) -> tuple[Axis | str | int, ...]:
    if name in body.dims:
        found = body.dims[name]
        return found if isinstance(found, tuple) else (found if found.name else name,)
    value = body.variables.get(name)
    if isinstance(value, Poison):
        raise Silent
    if isinstance(value, AxesRef):
        return value.items
    if isinstance(value, Sequence):
        return tuple(item.known for item in value.items if isinstance(item, Size) and item.known is not None)
    if isinstance(value, Size) and value.known is not None and value.name is None:
        return (Axis(value.size) if name in body.parameter_names else value.known,)
    if isinstance(value, Size) and value.name is not None:
        return (value.name,)
    return (name,)


def resolve_axes(axes: AxesRef, type_: TensorType, span: Span) -> tuple[int, ...]:
    """Positions, from 0, of the named axes in a tensor, as they were written: what is a set is the caller's to sort.

    Raises:
        Fault: the tensor has no such axis, or several.
    """
    found = tuple(_position(item, axes.text, type_, span) for item in axes.items)
    if len(set(found)) < len(found):
        raise Fault("TRX0208", f"`{axes.text}` names an axis twice", span)
    return found


def _position(item: Axis | str | int, text: str, type_: TensorType, span: Span) -> int:
    if isinstance(item, int):
        if not -type_.rank <= item < type_.rank:
            raise Fault("TRX0208", f"there is no axis {item} in {type_.show()}", span)
        return item % type_.rank
    if isinstance(item, Axis) and item.name is None:
        return _sized(item, text, type_, span)
    name = item if isinstance(item, str) else item.name
    places = [at for at, axis in enumerate(type_.axes) if axis.name == name]
    if len(places) == 1:
        return places[0]
    shown = (name or "").removeprefix("%").split(".")[0]
    if places:
        help_ = "give one of them another name by annotating the value, as in `x: float[rows, columns] = …`"
        raise Fault("TRX0208", f"`{shown}` is several axes of {type_.show()}", span, helps=[help_])
    names = [axis.public_name for axis in type_.axes if axis.public_name]
    raise Fault("TRX0208", f"there is no dim `{shown}` in {type_.show()}", span, helps=nearest(shown, names))


def _sized(item: Axis, text: str, type_: TensorType, span: Span) -> int:
    """Where the dim is that a setting of a layer stands for, which lends it no name: the only one that is as long."""
    places = [at for at, axis in enumerate(type_.axes) if axis.public_name is None and axis.size == item.size]
    if len(places) == 1:
        return places[0]
    help_ = "write its position, as in `over = -1`, or give it a name by annotating the value: `y: float[batch, kinds]`"
    what = f"several axes of {type_.show()} are" if places else f"no axis of {type_.show()} is"
    raise Fault("TRX0208", f"`{text}` is {item.size} here, and {what} of that size", span, helps=[help_])
