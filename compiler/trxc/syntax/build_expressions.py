"""Expressions and types, built as the parser completes their rules.

A method `_on_RULE` makes the node of the grammar's rule (or alias) RULE from its children: nodes, and tokens
for everything that is written out.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from ..diagnostics.diagnostic import Diagnostic, Diagnostics, Edit
from ..source import Source, Span
from . import ast
from .literals import read_number, read_string
from .tokens import Token

_Node = TypeVar("_Node")
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "none"}


class ExpressionBuilder:
    """Builds what may stand in an expression or a type."""

    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics

    def build(self, rule: str, children: list[Any], start: int, end: int) -> Any:
        """The node of a completed rule."""
        return getattr(self, f"_on_{rule}")(children, Span(self.source, start, end))

    def span(self, token: Token) -> Span:
        """Where a token is."""
        return Span(self.source, token.start, token.end)

    def ident(self, token: Token) -> ast.Ident:
        """A word as a bare name."""
        return ast.Ident(self.span(token), token.text)

    def idents(self, children: list[Any]) -> tuple[ast.Ident, ...]:
        """All names among the tokens, without punctuation."""
        words = (child for child in children if isinstance(child, Token) and child.type == "WORD")
        return tuple(self.ident(word) for word in words)

    # -------------------------------------------------------------- operators

    def _on_pipe(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Pipe(span, children[0], children[2])

    def _on_compose(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Compose(span, children[0], children[2])

    def _on_binary(self, children: list[Any], span: Span) -> ast.Expr:
        left, operator, right = children
        return ast.Binary(span, operator.text, left, right, self.span(operator))

    def _on_power(self, children: list[Any], span: Span) -> ast.Expr:
        return self._on_binary(children, span)

    def _on_unary(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Unary(span, children[0].text, children[1])

    def _on_if_expression(self, children: list[Any], span: Span) -> ast.Expr:
        nodes = without_tokens(children)
        return ast.IfExpr(span, nodes[0], nodes[1], nodes[2])

    def _on_lambda(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Lambda(span, self.idents(children[1:-2]), children[-1])

    # ---------------------------------------------------------------- postfix

    def _on_call(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Call(span, children[0], children[1])

    def _on_call_arguments(self, children: list[Any], span: Span) -> tuple[ast.Argument, ...]:
        return tuple(without_tokens(children))

    def _on_argument(self, children: list[Any], span: Span) -> ast.Argument:
        return ast.Argument(span, self.ident(children[0]) if len(children) == 3 else None, children[-1])

    def _on_attribute(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Attribute(span, children[0], self.ident(children[2]))

    def _on_names(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Names(span, children[0], self.idents(children[1:]))

    def _on_index(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Index(span, children[0], tuple(without_tokens(children[1:])))

    def _on_slice(self, children: list[Any], span: Span) -> ast.Expr:
        colon = next(at for at, child in enumerate(children) if isinstance(child, Token))
        start = children[0] if colon else None
        return ast.Slice(span, start, children[-1] if colon + 1 < len(children) else None)

    # ------------------------------------------------------------------ atoms

    def _on_ellipsis(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.EllipsisValue(span)

    def _on_name(self, children: list[Any], span: Span) -> ast.Expr:
        instead = _PYTHON_WORDS.get(children[0].text)
        if instead is None:
            return ast.Name(span, children[0].text)
        message = f"`{span.text}` is written `{instead}`"
        self.diagnostics.add(Diagnostic("TRX0109", message, span, edits=(Edit(span, instead),)))
        return ast.NoneValue(span) if instead == "none" else ast.Bool(span, instead == "true")

    def _on_number(self, children: list[Any], span: Span) -> ast.Expr:
        return read_number(span, self.diagnostics)

    def _on_string(self, children: list[Any], span: Span) -> ast.Expr:
        return read_string(span, self.diagnostics)

    def _on_bool(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.Bool(span, children[0].text == "true")

    def _on_none(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.NoneValue(span)

    def _on_next_value(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.NextValue(span, self.ident(children[1]))

    def _on_parenthesised(self, children: list[Any], span: Span) -> ast.Expr:
        return children[1]

    def _on_tuple(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.TupleExpr(span, tuple(without_tokens(children)))

    def _on_list(self, children: list[Any], span: Span) -> ast.Expr:
        return ast.ListExpr(span, tuple(without_tokens(children)))

    def _on_comprehension(self, children: list[Any], span: Span) -> ast.Expr:
        nodes = without_tokens(children)
        return ast.Comprehension(span, nodes[0], self.ident(children[3]), nodes[1], nodes[2] if nodes[2:] else None)

    # ------------------------------------------------------------------ types

    def _on_type(self, children: list[Any], span: Span) -> ast.TypeExpr:
        optional = isinstance(children[-1], Token) and children[-1].text == "?"
        return ast.TypeExpr(span, self.ident(children[0]), tuple_among(children), optional)

    def _on_dims(self, children: list[Any], span: Span) -> tuple[ast.Dim, ...]:
        return tuple(without_tokens(children))

    def _on_pack(self, children: list[Any], span: Span) -> ast.PackDim:
        return ast.PackDim(span, self.ident(children[1]) if children[1:] else None)


def without_tokens(children: list[Any]) -> list[Any]:
    """The nodes among `children`, without punctuation and keywords."""
    return [child for child in children if not isinstance(child, Token)]


def first_of(children: list[Any], kind: type[_Node]) -> _Node | None:
    """The first of `children` that is a `kind`."""
    return next((child for child in children if isinstance(child, kind)), None)


def tuple_among(children: list[Any]) -> tuple[Any, ...] | None:
    """The one of `children` that is a list in brackets, if there is one."""
    return cast("tuple[Any, ...] | None", first_of(children, tuple))
