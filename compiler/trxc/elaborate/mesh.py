"""Reads mesh records: axes with their sizes, and which dims are split over which."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..resolve import ItemRef, nearest
from ..source import Span
from ..syntax import ast
from .body import Session
from .faults import Fault
from .fields import FieldSpec
from .records import fields_of, flattened, read_int, record_body


@dataclass
class MeshSpec:
    """Axes of a mesh with their sizes, and which dims go over which axes."""

    name: str
    axes: dict[str, int]
    rules: dict[str, tuple[str, ...]]
    rule_spans: dict[str, Span]
    span: Span
    axis_spans: dict[str, Span] = field(default_factory=dict[str, Span])


def read_mesh(session: Session, ref: ItemRef) -> MeshSpec:
    """A mesh record: its axes and rules."""
    record = ref.item
    assert isinstance(record, ast.Record)
    body = record_body(session, ref)
    mesh = MeshSpec(ref.name, {}, {}, {}, record.name.span)
    rules = [node for node in record.fields if isinstance(node, ast.Rule)]
    for name, _, value in flattened(fields_of(session, ref), session, rules=True):
        try:
            size = read_int(FieldSpec(name.name, "int", "an axis"), value, body) if value is not None else None
            if not isinstance(size, int):
                raise Fault("TRX0505", f"axis `{name.name}` is an int: `{name.name} = 8`", name.span)
            mesh.axes[name.name] = size
            mesh.axis_spans[name.name] = name.span
        except Fault as fault:
            session.report(fault)
            mesh.axes[name.name] = 1
    for rule in rules:
        try:
            _rule(rule, mesh)
        except Fault as fault:
            session.report(fault)
    return mesh


def _rule(rule: ast.Rule, mesh: MeshSpec) -> None:
    targets = rule.target.items if isinstance(rule.target, ast.TupleExpr | ast.ListExpr) else (rule.target,)
    axes: list[str] = []
    for target in targets:
        if not isinstance(target, ast.Name):
            raise Fault("TRX0505", "a rule names an axis of the mesh", target.span)
        if target.name not in mesh.axes:
            near = nearest(target.name, mesh.axes)
            raise Fault("TRX0510", f"the mesh has no axis `{target.name}`", target.span, helps=near)
        if target.name in axes:
            raise Fault("TRX0502", f"axis `{target.name}` is named twice", target.span)
        axes.append(target.name)
    for key in rule.keys:
        name = key.name if isinstance(key, ast.Ident) else key.value
        if name in mesh.rules:
            raise Fault(
                "TRX0502", f"dim `{name}` is placed twice", key.span, labels=[(mesh.rule_spans[name], "first here")]
            )
        mesh.rules[name] = tuple(axes)
        mesh.rule_spans[name] = key.span
