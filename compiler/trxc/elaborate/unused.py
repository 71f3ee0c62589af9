"""Warnings about what is written and has no effect: names that are never used, branches that are never taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..diagnostics import Diagnostic, Diagnostics
from ..source import Span
from ..syntax import ast
from .mentions import Mentions

Warned = tuple[str, str, Span, str]
"""A code, its message, its place, and a help."""


def warn_unused(items: list[Mentions], diagnostics: Diagnostics) -> None:
    """Warns of what the items of a file declare and never use. A name that begins with `_` is meant to be so."""
    for found in items:
        if not isinstance(found.item, ast.Extern):
            for code, message, span, help_ in (*_parameters(found), *_bindings(found), *_dead(found)):
                diagnostics.add(Diagnostic(code, message, span, severity="warning", helps=(help_,)))


def _parameters(found: Mentions) -> Iterator[Warned]:
    """Parameters that neither the body nor another parameter speaks of; one may stand in the place of a dtype."""
    item = found.item
    spoken = {*found.places, *(node.name.name for node in found.nodes if isinstance(node, ast.TypeExpr))}
    for parameter in item.parameters:
        name = parameter.name
        if name.name not in spoken and not name.name.startswith("_"):
            message = f"parameter `{name.name}` of `{item.name.name}` is never used"
            yield "TRX0308", message, name.span, "leave it out, or use it"


def _bindings(found: Mentions) -> Iterator[Warned]:
    """Bindings, dims, weights and inputs that nothing after them speaks of."""
    shared = _shared_dims(found)
    for node in found.nodes:
        match node:
            case ast.Bind(names=names) if not any(_used(name, node.span, found) for name in names):
                yield _never_used(names[0], "binding")
            case ast.DimDecl(name=name) if not _used(name, node.span, found):
                yield _never_used(name, "dim")
            case ast.Param(name=name) if not _used(name, node.span, found):
                yield _never_used(name, "weight")
            case ast.Input(signatures=signatures):
                yield from (_never_used(s.name, "input") for s in signatures if not _read(s, shared, found))
            case _:
                pass


def _never_used(name: ast.Ident, what: str) -> Warned:
    return "TRX0307", f"{what} `{name.name}` is never used", name.span, f"leave it out, or call it `_{name.name}`"


def _used(name: ast.Ident, statement: Span, found: Mentions) -> bool:
    """Whether anything after the statement that binds a name speaks of it."""
    return name.name.startswith("_") or max(found.places.get(name.name, ()), default=-1) >= statement.end


def _read(signature: ast.Signature, shared: set[str], found: Mentions) -> bool:
    """Whether an input is read, or a size that it alone brings."""
    name, type_ = signature.name.name, signature.type
    wanted = {name, *(dim.name for dim in type_.dims or () if isinstance(dim, ast.Name) and dim.name not in shared)}
    places = (place for each in wanted for place in found.places.get(each, ()))
    return name.startswith("_") or any(not type_.span.start <= place < type_.span.end for place in places)


def _shared_dims(found: Mentions) -> set[str]:
    """The dims that several inputs bring."""
    types = [node.type for node in found.nodes if isinstance(node, ast.Signature)]
    counted = Counter(name for type_ in types for name in {d.name for d in type_.dims or () if isinstance(d, ast.Name)})
    return {name for name, count in counted.items() if count > 1}


def _dead(found: Mentions) -> Iterator[Warned]:
    """Branches whose condition is written out, and so is always the same."""
    for node in found.nodes:
        if isinstance(node, ast.If | ast.IfExpr) and (value := _literal(node.condition)) is not None:
            branch = "what follows `else`" if value else "this branch"
            message = f"{branch} is never taken: the condition is always {str(value).lower()}"
            yield "TRX0421", message, node.condition.span, "a parameter, as in `layer L(deep: bool = true)`, can be set"


def _literal(condition: ast.Expr) -> bool | None:
    """The value of a condition that names nothing; None for any other."""
    match condition:
        case ast.Bool(value=value):
            return value
        case ast.Unary(operator="not", operand=operand):
            value = _literal(operand)
            return None if value is None else not value
        case ast.Binary(operator="and" | "or" as operator, left=left, right=right):
            known = {_literal(left), _literal(right)}
            ends = operator == "or"
            return ends if ends in known else None if None in known else not ends
        case _:
            return None
