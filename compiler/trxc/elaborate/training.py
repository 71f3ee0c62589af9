"""The functions of a recipe: the loss in training, what evaluation averages, and the metrics made of the averages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..dims import Dim, dim
from ..ir import Function, Op, Region, Value
from ..ops import OPS
from ..source import Span
from ..syntax import ast
from ..types import FLOAT, INT, Axis, TensorType
from . import evaluate as evaluation
from . import operators
from .body import Body, Frame, Namer, Session
from .faults import Fault, Silent
from .functions import call_function
from .model import Root
from .pipeline import DataDim, DataField, DataFields
from .statements import input_signatures
from .values import CValue

SPREADS = frozenset(name for name, op in OPS.items() if op.elementwise)
"""Functions of one number: what is made of averages, and not averaged itself."""


@dataclass
class Batch:
    """How the data's fields become the inputs of a recipe's functions.

    `sizes` says which size of the program each dim of the data is, `known` what the data make of symbols.
    """

    data: DataFields
    sizes: dict[object, Axis] = field(default_factory=dict[object, Axis])
    known: dict[str, int] = field(default_factory=dict[str, int])
    leading: Axis = field(default_factory=lambda: Axis(dim("batch"), "batch"))

    def only_symbol_of(self, size: int | None) -> Axis | None:
        """The symbol that the data fix to a size, if it is one only: a declared field says no more than the number."""
        symbols = [name for name, known in self.known.items() if known == size]
        return Axis(dim(symbols[0]), symbols[0]) if size is not None and len(symbols) == 1 else None


def bind_batch(session: Session, root: Root, data: DataFields, span: Span) -> Batch | None:
    """Checks that the data have what the model takes, and finds which sizes of it they fix; None where they do not."""
    batch, failed = Batch(data), False
    declared = {signature.name.name: signature.span for signature in input_signatures(root.item)}
    for value in root.function.inputs:
        assert value.name is not None
        try:
            _bind_input(value, batch, span)
        except Fault as fault:
            if fault.diagnostic.code == "TRX0508" and value.name in declared:
                fault.add_label(declared[value.name], f"the model takes {value.type.show()}")
            session.report(fault)
            failed = True
    return None if failed else batch


def _bind_input(value: Value, batch: Batch, span: Span) -> None:
    name = value.name or ""
    if name not in batch.data.fields:
        if batch.data.open:
            return
        raise batch.data.missing(name, span, "which the model takes")
    found = batch.data.fields[name]
    place = found.span or span
    if found.dtype is None:
        message = f"field `{name}` is text, and the model takes `{value.type.dtype}`"
        raise Fault("TRX0508", message, place, helps=["`tokens = bytes() >> …` makes numbers of text"])
    if found.dtype.kind != "any" and found.dtype.kind != value.type.dtype.kind:
        message = f"field `{name}` is `{found.dtype}`, and the model takes `{value.type.dtype}`"
        raise Fault("TRX0508", message, place, helps=[f"`transform = cast({name}, {value.type.dtype})` converts it"])
    if value.type.axes:
        batch.leading = value.type.axes[0]
    if found.dims is None:
        return
    if len(found.dims) != value.type.rank - 1:
        shape = f"[{', '.join('?' if d.size is None else str(d.size) for d in found.dims)}]"
        message = f"field `{name}` has {len(found.dims)} dims an example, and the model takes {value.type.rank - 1}"
        raise Fault("TRX0508", message, place, notes=[f"an example is {shape}, the input {value.type.show()}"])
    for axis, given in zip(value.type.axes[1:], found.dims, strict=True):
        _bind_dim(name, axis, given, batch, place)


def _bind_dim(name: str, axis: Axis, given: DataDim, batch: Batch, span: Span) -> None:
    wanted = axis.size.value
    if wanted is not None and given.size is not None and wanted != given.size:
        message = f"field `{name}` has a dim of {given.size}, and the model takes {axis.label}"
        raise Fault("TRX0508", message, span)
    batch.sizes.setdefault(given.key, axis)
    if axis.size.symbol is not None and given.size is not None:
        symbol = axis.size.symbol.name
        if batch.known.setdefault(symbol, given.size) != given.size:
            message = f"dim `{symbol}` is {batch.known[symbol]} in one field and {given.size} in `{name}`"
            raise Fault("TRX0508", message, span)


def field_type(name: str, found: DataField, batch: Batch) -> TensorType:
    """The type of a batch of a field."""
    dtype = found.dtype or FLOAT
    if dtype.kind == "int" and not dtype.generic:
        dtype = INT
    axes = [batch.leading]
    for at, given in enumerate(found.dims or ()):
        known = batch.sizes.get(given.key) or batch.only_symbol_of(given.size)
        if known is None:
            size: Dim = dim(given.size) if given.size is not None else dim(f"{name}_{at}")
            known = Axis(size, size.symbol.name if size.symbol else None)
            batch.sizes[given.key] = known
        axes.append(known)
    return TensorType(dtype, tuple(axes))


# --------------------------------------------------------------------- loss


@dataclass
class Recipe:
    """A function of a recipe under construction: the model called once, its outputs and the data's fields by name."""

    frame: Frame
    body: Body
    outputs: dict[str, Value]


def _start(session: Session, root: Root, batch: Batch, name: str, doc: str, unit_body: Body, span: Span) -> Recipe:
    function = Function(session.fresh(name), Region([]), doc=doc, span=span)
    frame = Frame(function, session, [function.body])
    body = Body(session, frame, unit_body.unit, Namer((), frame, 0))
    body.modules = unit_body.modules
    inputs = [Value(v.type, v.name) for v in root.function.inputs]
    function.body.arguments.extend(inputs)
    call_function(root.record, inputs, (), body, span)
    results = frame.function.body.ops[-1].results
    outputs = dict(zip(root.function.output_names, results, strict=True))
    variables: dict[str, CValue] = {v.name or "": v for v in inputs}
    for field_name, found in batch.data.tensors().items():
        if field_name not in variables:
            value = Value(field_type(field_name, found, batch), field_name)
            function.body.arguments.append(value)
            variables[field_name] = value
    variables.update(outputs)
    body.variables = variables
    body.remarks = _remarks(batch, outputs)
    return Recipe(frame, body, outputs)


def _remarks(batch: Batch, outputs: Iterable[str]) -> tuple[str, ...]:
    """Which names a loss or metric has to speak of, for one that means nothing."""
    fields = ", ".join(f"`{name}`" for name in batch.data.tensors()) or "none"
    more = ", and what the source holds: `fields { name = int }` declares it" if batch.data.open else ""
    return (
        f"outputs of the model: {', '.join(f'`{name}`' for name in outputs)}",
        f"fields of the data: {fields}{more}",
    )


def _drop_unused(function: Function, keep: int) -> None:
    """Removes inputs that nothing reads; the first `keep` are the model's."""
    used = {id(v) for op in function.body.walk() for v in op.operands}
    used |= {id(v) for op in function.body.walk() for r in op.regions for v in r.results}
    used |= {id(v) for v in function.body.results}
    arguments = function.body.arguments
    function.body.arguments = [v for at, v in enumerate(arguments) if at < keep or id(v) in used]


def _scalar(value: CValue, body: Body, span: Span, what: str) -> Value:
    tensor = operators.as_tensor(value, body, span)
    if tensor.type.rank:
        help_ = "`mean(…)` makes one number of it"
        message = f"{what} is one number, and this is {tensor.type.show()}"
        raise Fault("TRX0509", message, span, helps=[help_])
    if tensor.type.dtype.kind != "float":
        tensor = operators.apply_op("cast", [tensor], {"dtype": FLOAT}, body, span, [span])[0]
    return tensor


def loss_function(session: Session, root: Root, batch: Batch, loss: ast.Expr, unit_body: Body) -> Function | None:
    """The loss of a batch in training mode; None where it is wrong."""
    try:
        with session.within("the loss", loss.span):
            recipe = _start(session, root, batch, "loss", "The loss of a batch.", unit_body, loss.span)
            value = evaluation.evaluate(loss, recipe.body)
            recipe.frame.function.body.results = [_scalar(value, recipe.body, loss.span, "a loss")]
    except Fault as fault:
        session.report(fault)
        return None
    except Silent:
        return None
    recipe.frame.function.output_names = ["loss"]
    _drop_unused(recipe.frame.function, len(root.function.inputs))
    return recipe.frame.function


# ------------------------------------------------------------------ metrics


def metric_functions(
    session: Session, root: Root, batch: Batch, loss: ast.Expr | None, metrics: dict[str, ast.Expr], unit_body: Body,
    span: Span,
) -> tuple[Function, Function] | None:  # fmt: skip
    """`measure`, whose results are averaged over batches, and `summarize`, which makes the metrics of the averages.

    So a perplexity is the exponential of the mean loss, and not the mean of exponentials.
    """
    try:
        recipe = _start(session, root, batch, "measure", "What is averaged over batches.", unit_body, span)
        if loss is not None:
            value = evaluation.evaluate(loss, recipe.body)
            recipe.body.variables["loss"] = _scalar(value, recipe.body, loss.span, "a loss")
    except (Fault, Silent) as problem:
        if isinstance(problem, Fault):
            session.report(problem)
        return None
    summary = Function(session.fresh("summarize"), Region([]), doc="The metrics, from averages.", span=span)
    frame = Frame(summary, session, [summary.body])
    parts = _Parts(recipe.body, Body(session, frame, unit_body.unit, Namer((), frame, 0)))
    if loss is not None:
        parts.average("loss", recipe.body.variables["loss"])
    failed = False
    for name, expression in metrics.items():
        try:
            with session.within(f"metric `{name}`", expression.span):
                parts.metric(name, expression)
        except Fault as fault:
            session.report(fault)
            failed = True
        except Silent:
            failed = True
    if failed:
        return None
    recipe.frame.function.body.results = list(parts.means.values())
    recipe.frame.function.output_names = list(parts.means)
    _drop_unused(recipe.frame.function, len(root.function.inputs))
    summary.body.results = list(parts.metrics.values())
    summary.output_names = list(parts.metrics)
    return recipe.frame.function, summary


@dataclass
class _Parts:
    """A metric taken apart: what is measured on a batch, and what is computed from the averages."""

    measured: Body
    summary: Body
    means: dict[str, Value] = field(default_factory=dict[str, Value])
    metrics: dict[str, Value] = field(default_factory=dict[str, Value])

    def average(self, name: str, value: CValue) -> Value:
        """Has a measured number averaged under a name; its average, in the summary."""
        assert isinstance(value, Value)
        self.means[name] = value
        mean = Value(TensorType(FLOAT), name)
        self.summary.frame.function.body.arguments.append(mean)
        self.summary.variables[name] = mean
        if name == "loss":
            self.metrics["loss"] = mean
        return mean

    def metric(self, name: str, expression: ast.Expr) -> None:
        """Adds a metric."""
        if name in self.metrics:
            raise Fault("TRX0502", f"metric `{name}` is there already", expression.span)
        rewritten = self._split(expression, name)
        value = _scalar(evaluation.evaluate(rewritten, self.summary), self.summary, expression.span, "a metric")
        if value in self.metrics.values():
            value = _copied(value, self.summary, expression.span)
        self.metrics[name] = value
        self.summary.variables[name] = value

    def _split(self, node: ast.Expr, name: str) -> ast.Expr:
        """The expression over averages: its leaves are measured."""
        match node:
            case ast.Number():
                return node
            case ast.Name(name=known) if known in self.metrics:
                return node
            case ast.Unary():
                return ast.Unary(node.span, node.operator, self._split(node.operand, name))
            case ast.Binary():
                left, right = self._split(node.left, name), self._split(node.right, name)
                return ast.Binary(node.span, node.operator, left, right, node.operator_span)
            case ast.Call(function=ast.Name(name=function)) if function in SPREADS:
                arguments = tuple(ast.Argument(a.span, a.name, self._split(a.value, name)) for a in node.arguments)
                return ast.Call(node.span, node.function, arguments)
            case _:
                return self._measured(node, name)

    def _measured(self, node: ast.Expr, name: str) -> ast.Expr:
        value = evaluation.evaluate(node, self.measured)
        if not isinstance(value, Value):
            return node
        number = _scalar(value, self.measured, node.span, "a metric")
        leaf = name if name not in self.means else f"{name}_{len(self.means)}"
        self.average(leaf, number)
        return ast.Name(node.span, leaf)


def _copied(value: Value, body: Body, span: Span) -> Value:
    """The same number once more, for a metric that is just an average by another name."""
    op = Op("stop_gradient", [value], {}, [Value(value.type)], span=span)
    body.frame.regions[-1].ops.append(op)
    return op.result
