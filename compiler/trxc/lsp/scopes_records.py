"""The names of records: what they say of a model, of other records, and of themselves."""

from __future__ import annotations

from ..elaborate.fields import RECORDS, FieldSpec
from ..elaborate.records import MODULES
from ..resolve import ItemRef
from ..syntax import ast
from .declared import names_of
from .names import Key
from .scopes import Scope, kind_of


def walk_record(record: ast.Record, scope: Scope) -> None:
    """Walks a record: its name, its subject, its fields."""
    scope.table.add(record.name.span, Key(scope.table.home, "", record.name.name), "record", defines=True)
    if record.subject is not None:
        scope.refer(record.subject)
    scope.modules = MODULES.get(record.kind, ())
    if record.kind == "mesh":
        _mesh(record, scope)
        return
    if record.kind in ("train", "evaluate", "generate"):
        _see(subject_of(record, scope), scope)
    fields = sorted(record.fields, key=_metrics_first)
    _fields(tuple(fields), RECORDS.get(record.kind, ()), scope)


def subject_of(record: ast.Record, scope: Scope) -> ItemRef | None:
    """The model that a record is for: the one that it names, else the file's only one."""
    if record.subject is not None:
        item = scope.item(record.subject.name)
        return item if item is not None and item.kind == "model" else None
    models = [ref for ref in scope.reading.unit.items.values() if ref.kind == "model"]
    return models[0] if len(models) == 1 else None


def _see(model: ItemRef | None, scope: Scope) -> None:
    """Lets the names of a model be said: its inputs, outputs, dims and parameters."""
    for name, kind in (names_of(model.item) if model is not None else {}).items():
        if model is not None:
            scope.names[name] = scope.member(model, name), kind


def _metrics_first(node: ast.RecordField) -> bool:
    """Sorts the field that introduces metrics before those that speak of them."""
    return not (isinstance(node, ast.SubRecord) and node.name.name == "metrics")


def _fields(nodes: tuple[ast.RecordField, ...], specs: tuple[FieldSpec, ...], scope: Scope) -> None:
    for node in nodes:
        if isinstance(node, ast.SubRecord):
            spec = _spec(node.name.name, specs)
            if spec is not None and spec.kind == "tensors":
                _metrics(node, scope)
            else:
                _fields(node.fields, spec.fields if spec is not None else (), scope)
        elif isinstance(node, ast.Field):
            _field(node, _spec(node.path[0].name, specs), scope)


def _spec(name: str, specs: tuple[FieldSpec, ...]) -> FieldSpec | None:
    return next((spec for spec in specs if spec.name == name), None)


def _field(node: ast.Field, spec: FieldSpec | None, scope: Scope) -> None:
    if spec is not None and spec.kind in ("tensors", "fields") and len(node.path) == 2:
        if spec.kind == "tensors":
            scope.expression(node.value)
            scope.define(node.path[1], "metric")
            return
        spec = _spec(node.path[1].name, spec.fields)
    kind = spec.kind if spec is not None else ""
    if kind == "word":
        return
    if kind == "record" and isinstance(node.value, ast.Name):
        item = scope.reading.library.lookup(scope.reading.unit, node.value.name)
        if item is not None:
            scope.table.add(node.value.span, scope.key_of(item), kind_of(item))
        return
    if kind == "best" and isinstance(node.value, ast.Call):
        for argument in node.value.arguments:
            scope.expression(argument.value)
        return
    scope.expression(node.value)


def _metrics(record: ast.SubRecord, scope: Scope) -> None:
    for node in record.fields:
        if isinstance(node, ast.Field):
            scope.expression(node.value)
            scope.names.pop(node.path[0].name, None)
            scope.define(node.path[0], "metric")


# --------------------------------------------------------------------- meshes


def _mesh(record: ast.Record, scope: Scope) -> None:
    for node in record.fields:
        if isinstance(node, ast.Field):
            scope.expression(node.value)
            scope.define(node.path[0], "axis")
    for node in record.fields:
        if isinstance(node, ast.Rule):
            _rule(node, scope)


def _rule(node: ast.Rule, scope: Scope) -> None:
    for key in node.keys:
        owner = _dim_owner(key.name, scope) if isinstance(key, ast.Ident) else None
        if owner is not None and isinstance(key, ast.Ident):
            scope.table.add(key.span, *owner)
    targets = node.target.items if isinstance(node.target, ast.TupleExpr | ast.ListExpr) else (node.target,)
    for target in targets:
        if isinstance(target, ast.Name) and target.name in scope.names:
            scope.refer(target)


def _dim_owner(name: str, scope: Scope):
    """The dim that a rule places: that of a model, else of a layer of the file."""
    items = sorted(scope.reading.unit.items.values(), key=lambda ref: ref.kind != "model")
    for ref in items:
        kind = names_of(ref.item).get(name) if isinstance(ref.item, ast.Layer) else None
        if kind in ("dim", "parameter"):
            return scope.member(ref, name), kind
    return None
