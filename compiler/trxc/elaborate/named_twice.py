"""Parameters and inputs of one name: refused before anything is elaborated, for which of them is meant is not known."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Diagnostic, Diagnostics, Label
from ..resolve import Unit
from ..syntax import ast


def check_named_twice(unit: Unit, diagnostics: Diagnostics) -> None:
    """Reports parameters, and inputs, of one item that have one name."""
    for ref in unit.items.values():
        item = ref.item
        if not isinstance(item, ast.Layer | ast.Fn | ast.Extern):
            continue
        for what, names in (("parameter", [p.name for p in item.parameters]), ("input", list(_inputs(item)))):
            first: dict[str, ast.Ident] = {}
            for name in names:
                known = first.setdefault(name.name, name)
                if known is not name:
                    message = f"{what} `{name.name}` is declared twice"
                    labels = (Label(known.span, "first here"),)
                    diagnostics.add(Diagnostic("TRX0302", message, name.span, labels=labels))


def _inputs(item: ast.Layer | ast.Fn | ast.Extern) -> Iterator[ast.Ident]:
    body = () if isinstance(item, ast.Fn) else item.body or ()
    for node in body:
        if isinstance(node, ast.Input):
            yield from (signature.name for signature in node.signatures)
