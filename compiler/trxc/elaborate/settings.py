"""`--set GPT.embed=512`: what is set from outside, checked like the file itself."""

from __future__ import annotations

from ..diagnostics import Diagnostics
from ..resolve import Library, Unit, nearest
from ..source import Source, Span
from ..syntax import ast, parse_expression
from . import calls
from .body import Overrides, Session
from .faults import Fault


def read_settings(settings: dict[str, str], unit: Unit, diagnostics: Diagnostics) -> Overrides:
    """`--set GPT.embed=512` as expressions by item and path; each must name something that is there."""
    overrides: Overrides = {}
    session = Session(Library(diagnostics), diagnostics)
    for path, text in settings.items():
        source = Source(f"--set {path}", text)
        expression = parse_expression(source, diagnostics)
        head, *rest = path.split(".")
        span = Span(source, 0, len(text))
        try:
            _check_setting(head, rest, unit, span)
        except Fault as fault:
            session.report(fault)
            continue
        if expression is not None:
            overrides.setdefault(head, {})[tuple(rest)] = expression
    return overrides


def _check_setting(head: str, rest: list[str], unit: Unit, span: Span) -> None:
    item = unit.own(head)
    settable = [n for n in unit.names() if (i := unit.own(n)) and (i.kind == "model" or isinstance(i.item, ast.Record))]
    if item is None or head not in settable:
        raise Fault("TRX0511", f"there is no model or record `{head}`", span, helps=nearest(head, settable))
    if not rest:
        raise Fault("TRX0511", f"`{head}` is set field by field, as in `{head}.NAME=VALUE`", span)
    if item.kind == "model":
        names = [p.name.name for p in calls.parameters_of(item)]
        if len(rest) != 1 or rest[0] not in names:
            dotted = ".".join(rest)
            raise Fault("TRX0511", f"`{head}` has no parameter `{dotted}`", span, helps=nearest(dotted, names))
