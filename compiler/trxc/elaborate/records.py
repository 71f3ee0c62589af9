"""Reads records: each field checked against the table, its value evaluated, what is missing filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from ..ir import Function, Region
from ..resolve import ItemRef, nearest, nearest_of_few
from ..source import Span
from ..syntax import ast
from ..types import DType
from . import evaluate as evaluation
from .amounts import read_bytes
from .body import Body, Frame, Namer, Session
from .declared import complete, is_declared, kind_of
from .faults import Fault, Silent, as_float
from .fields import RECORDS, FieldSpec
from .texts import read_patterns, read_texts
from .values import Chain, CValue, Size, TypeValue, describe

MODULES = {"data": ("data",), "train": ("optim",), "generate": ("sample", "data")}


@dataclass
class Best:
    """`min(loss)`."""

    mode: str
    metric: str
    span: Span


@dataclass
class RecordValues:
    """A record's fields: values by name (nested records are by name again), expressions where tensors are meant."""

    item: ItemRef | None = None
    values: dict[str, object] = field(default_factory=dict[str, object])
    spans: dict[str, Span] = field(default_factory=dict[str, Span])

    def integer(self, name: str) -> int | None:
        """The int of a field; None where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, int) else None

    def nested(self, name: str) -> dict[str, object] | None:
        """The fields of a nested record; None where there is none."""
        value = self.values.get(name)
        return cast("dict[str, object]", value) if isinstance(value, dict) else None

    def expression(self, name: str) -> ast.Expr | None:
        """A field that is meant for run time, as it is written; None where there is none."""
        value = self.values.get(name)
        return cast("ast.Expr", value) if isinstance(value, ast.Node) else None

    def expressions(self, name: str) -> dict[str, ast.Expr]:
        """The fields of a nested record that are meant for run time."""
        return cast("dict[str, ast.Expr]", self.nested(name) or {})


def record_body(session: Session, ref: ItemRef) -> Body:
    """A body to evaluate a record's expressions in: no tensors, and the names that the library offers for it."""
    frame = Frame(Function("record", Region([])), session)
    frame.regions.append(frame.function.body)
    body = Body(session, frame, ref.unit, Namer((), frame, 0))
    body.modules = MODULES.get(ref.kind, ())
    return body


def read_record(session: Session, ref: ItemRef, variables: dict[str, CValue] | None = None) -> RecordValues:
    """A record's fields; what is wrong is reported, field by field.

    `variables` are compile-time names that its expressions may use (`total_steps`).
    """
    record = ref.item
    assert isinstance(record, ast.Record)
    body = record_body(session, ref)
    body.variables.update(variables or {})
    result = RecordValues(ref)
    read_fields(fields_of(session, ref), RECORDS[record.kind], record.name, body, result)
    return result


def fields_of(session: Session, ref: ItemRef) -> tuple[ast.RecordField, ...]:
    """A record's fields, with those from the command line in place of its own."""
    record = ref.item
    assert isinstance(record, ast.Record)
    fields = list(record.fields)
    for path, expression in session.overrides.get(ref.name, {}).items():
        fields = _override(fields, path, expression)
    return tuple(fields)


def _override(fields: list[ast.RecordField], path: tuple[str, ...], value: ast.Expr) -> list[ast.RecordField]:
    head = path[0]
    for at, node in enumerate(fields):
        if isinstance(node, ast.Field) and ".".join(i.name for i in node.path) == ".".join(path):
            return [*fields[:at], ast.Field(value.span, node.path, value), *fields[at + 1 :]]
        if isinstance(node, ast.SubRecord) and node.name.name == head and len(path) > 1:
            inner = _override(list(node.fields), path[1:], value)
            return [*fields[:at], ast.SubRecord(node.span, node.name, tuple(inner)), *fields[at + 1 :]]
    idents = tuple(ast.Ident(value.span, name) for name in path)
    return [*fields, ast.Field(value.span, idents, value)]


def read_fields(
    nodes: tuple[ast.RecordField, ...], specs: tuple[FieldSpec, ...], owner: ast.Ident, body: Body, result: RecordValues
) -> None:
    """Reads fields by a table into `result`, defaults included.

    A field that is wrong has a span and no value, and so has one whose name is taken to be misspelt.
    """
    mistaken: dict[str, Span] = {}
    for name, node, value in flattened(nodes, body.session, rules=specs is RECORDS["weights"]):
        try:
            spec = _spec_of(name, specs, result, mistaken)
            if isinstance(value, ast.NoneValue) and not spec.required:
                result.values[name.name] = spec.default  # as if it were not there: `--set quick.mesh=none`
            else:
                result.spans[name.name] = name.span
                result.values[name.name] = _value(spec, node, value, body)
        except Fault as fault:
            body.session.report(fault)
            result.values.setdefault(name.name, None)
        except Silent:
            result.values.setdefault(name.name, None)
    for spec in specs:
        if spec.name in result.values:
            continue
        if spec.name in mistaken:
            result.spans[spec.name] = mistaken[spec.name]
        elif spec.required:
            message = f"`{owner.name}` has no `{spec.name}`: {spec.doc}"
            body.session.report(Fault("TRX0503", message, owner.span))
        result.values[spec.name] = spec.default


def _spec_of(
    name: ast.Ident, specs: tuple[FieldSpec, ...], result: RecordValues, mistaken: dict[str, Span]
) -> FieldSpec:
    """What the table says of a field; for a name that is not in it, notes in `mistaken` which was meant."""
    spec = next((s for s in specs if s.name == name.name), None)
    if spec is None:
        near = nearest_of_few(name.name, [s.name for s in specs], "fields")
        mistaken.update((s.name, name.span) for s in specs if any(f"mean `{s.name}`" in help_ for help_ in near))
        raise Fault("TRX0501", f"there is no field `{name.name}` here", name.span, helps=near)
    if name.name in result.values:
        first = result.spans.get(name.name)
        labels = [(first, "first here")] if first is not None else []
        raise Fault("TRX0502", f"field `{name.name}` is given twice", name.span, labels=labels)
    return spec


def flattened(
    nodes: tuple[ast.RecordField, ...], session: Session, *, rules: bool = False
) -> Iterator[tuple[ast.Ident, ast.RecordField, ast.Expr | None]]:
    """Fields by their first name; `evaluate.every = 5` counts as a nested record, or as a part of the one there is."""
    for node in _gathered(nodes):
        if isinstance(node, ast.Rule):
            if not rules:
                session.report(Fault("TRX0505", "a rule `a -> b` stands in a mesh or a weight map only", node.span))
            continue
        if isinstance(node, ast.SubRecord):
            yield node.name, node, None
        else:
            yield node.path[0], node, node.value


def _gathered(nodes: tuple[ast.RecordField, ...]) -> list[ast.RecordField]:
    """Fields with dots, `a.b = …` and `a.c = …`, as one nested record; they also belong to one that is written out."""
    found: list[ast.RecordField] = []
    places: dict[str, int] = {}
    written: set[str] = set()
    for node in nodes:
        part = _nested_once(node)
        if isinstance(part, ast.SubRecord):
            name = part.name.name
            at = places.setdefault(name, len(found))
            again = part is node and name in written
            written |= {name} if part is node else set()
            if at < len(found) and not again:
                around = cast("ast.SubRecord", found[at])
                found[at] = ast.SubRecord(around.span, around.name, (*around.fields, *part.fields))
                continue
        found.append(part)
    return found


def _nested_once(node: ast.RecordField) -> ast.RecordField:
    """`a.b.c = …` as `a { b.c = … }`; anything else as it is."""
    if not isinstance(node, ast.Field) or len(node.path) == 1:
        return node
    inner = ast.Field(node.span, node.path[1:], node.value)
    return ast.SubRecord(node.span, node.path[0], (inner,))


def _value(spec: FieldSpec, node: ast.RecordField, value: ast.Expr | None, body: Body) -> object:
    if spec.kind in NESTED:
        if not isinstance(node, ast.SubRecord):
            raise Fault("TRX0505", f"`{spec.name}` is a record: `{spec.name} {{ … }}`", node.span)
        return NESTED[spec.kind](spec, node, body)
    if value is None:
        raise Fault("TRX0505", f"`{spec.name}` is one value: `{spec.name} = …`", node.span)
    return READERS[spec.kind](spec, value, body)


def _nested(spec: FieldSpec, node: ast.SubRecord, body: Body) -> object:
    result = RecordValues()
    read_fields(node.fields, spec.fields, node.name, body, result)
    return result.values


def _expressions(spec: FieldSpec, node: ast.SubRecord, body: Body) -> object:
    return dict(_named(node, body))


def _named(node: ast.SubRecord, body: Body) -> Iterator[tuple[str, ast.Expr]]:
    """The values of a record whose fields the user names.

    Raises:
        Fault: one is given twice.
    """
    first: dict[str, Span] = {}
    for name, _, value in flattened(node.fields, body.session):
        if name.name in first:
            labels = [(first[name.name], "first here")]
            raise Fault("TRX0502", f"field `{name.name}` is given twice", name.span, labels=labels)
        first[name.name] = name.span
        if value is not None:
            yield name.name, value


def _shares(spec: FieldSpec, node: ast.SubRecord, body: Body) -> object:
    shares: dict[str, object] = {}
    for name, value in _named(node, body):
        found = evaluation.evaluate(value, body)
        if isinstance(found, Size) and found.known is not None:
            if found.known < 1:
                raise Fault("TRX0506", f"split `{name}` is to have at least 1 example", value.span)
            shares[name] = found.known
        elif isinstance(found, float) and 0 < found <= 1:
            shares[name] = found
        elif is_declared(found):
            shares[name] = complete(found, body, value.span)
        else:
            raise Fault("TRX0505", "a split is a share (0.9), a number of examples (1_000) or a source", value.span)
    total = sum(v for v in shares.values() if isinstance(v, int | float) and v <= 1)
    if total > 1 + 1e-9:
        raise Fault("TRX0506", f"the shares of a split add up to {total:g}", node.span, helps=["they are at most 1"])
    return shares


def _types(spec: FieldSpec, node: ast.SubRecord, body: Body) -> object:
    types: dict[str, TypeValue] = {}
    for name, value in _named(node, body):
        found = evaluation.evaluate(value, body)
        if isinstance(found, TypeValue):
            types[name] = found
        elif isinstance(found, DType):
            types[name] = TypeValue(found, ())
        else:
            raise Fault("TRX0505", f"a field's type is like `float[28, 28]`, and this is {describe(found)}", value.span)
    return types


NESTED: dict[str, Callable[[FieldSpec, ast.SubRecord, Body], object]] = {
    "fields": _nested, "tensors": _expressions, "shares": _shares, "types": _types,
}  # fmt: skip


def read_int(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    """An int that is not below the field's least.

    Raises:
        Fault: it is another value.
    """
    found = evaluation.evaluate(value, body)
    if not isinstance(found, Size) or found.known is None:
        raise Fault("TRX0505", f"`{spec.name}` is an int, and this is {describe(found)}", value.span)
    if found.known < spec.least:
        raise Fault("TRX0506", f"`{spec.name}` is at least {spec.least}, and this is {found}", value.span)
    return found.known


def _float(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    found = evaluation.evaluate(value, body)
    if isinstance(found, Size) and found.known is not None:
        found = as_float(found.known, value.span)
    if not isinstance(found, float):
        raise Fault("TRX0505", f"`{spec.name}` is a number, and this is {describe(found)}", value.span)
    if found < 0:
        raise Fault("TRX0506", f"`{spec.name}` is not negative", value.span)
    return found


def _flag(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    return evaluation.evaluate_flag(value, body)


def _word(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    text = _bare(spec, value)
    if text not in spec.choices:
        listed = ", ".join(f"`{choice}`" for choice in spec.choices)
        near = nearest(text, spec.choices) or (f"it is one of {listed}",)
        raise Fault("TRX0506", f"`{spec.name}` cannot be `{text}`", value.span, helps=near)
    return text


def _bare(spec: FieldSpec, value: ast.Expr) -> str:
    if isinstance(value, ast.Name):
        return value.name
    if isinstance(value, ast.String):
        return value.value
    raise Fault("TRX0505", f"`{spec.name}` is a name", value.span)


def _name(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    return ast.Ident(value.span, _bare(spec, value))


def _record(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    name = _bare(spec, value)
    library = body.session.library
    item = library.lookup(body.unit, name)
    if item is None or item.kind not in spec.choices:
        own = [n for n in body.unit.names() if (i := body.unit.own(n)) is not None and i.kind in spec.choices]
        message = f"there is no {spec.choices[0]} record `{name}`"
        raise Fault("TRX0504", message, value.span, helps=nearest(name, own))
    return item


def _expression(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    return value


def _declared(*kinds: str) -> Callable[[FieldSpec, ast.Expr, Body], object]:
    def read(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
        found = evaluation.evaluate(value, body)
        if not is_declared(found) or not (kind_of(found) in kinds or _parts_in(found, kinds)):
            article = "an" if kinds[0][0] in "aeiou" else "a"
            raise Fault("TRX0505", f"`{spec.name}` is {article} {kinds[0]}, and this is {describe(found)}", value.span)
        return complete(found, body, value.span)

    return read


def _parts_in(value: CValue, kinds: tuple[str, ...]) -> bool:
    return isinstance(value, Chain) and all(part.kind in kinds for part in value.parts)


def _best(spec: FieldSpec, value: ast.Expr, body: Body) -> object:
    if isinstance(value, ast.Call) and isinstance(value.function, ast.Name) and len(value.arguments) == 1:
        argument = value.arguments[0].value
        if value.function.name in ("min", "max") and isinstance(argument, ast.Name):
            return Best(value.function.name, argument.name, argument.span)
    raise Fault("TRX0505", "`best` is `min(metric)` or `max(metric)`", value.span)


READERS: dict[str, Callable[[FieldSpec, ast.Expr, Body], object]] = {
    "int": read_int, "float": _float, "bytes": read_bytes, "flag": _flag, "word": _word, "name": _name,
    "record": _record, "tensor": _expression, "optimizer": _declared("optimizer"), "source": _declared("source"),
    "pipeline": _declared("transform", "tokenizer"), "sampler": _declared("sampler"),
    "search": _declared("search"), "texts": read_texts,
    "tokenizer": _declared("tokenizer"), "best": _best, "patterns": read_patterns,
}  # fmt: skip


__all__ = ["Best", "RecordValues", "fields_of", "flattened", "read_int", "read_record", "record_body"]
