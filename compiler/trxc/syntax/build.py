"""Items and statements, built as the parser completes their rules; see :mod:`.build_expressions`."""

from __future__ import annotations

from typing import Any

from ..diagnostics.diagnostic import Diagnostic
from ..frozen import Frozen
from ..source import Span
from . import ast
from .build_expressions import ExpressionBuilder, first_of, tuple_among, without_tokens
from .comments import doc_above
from .literals import read_string
from .tokens import Token


class _Outputs(Frozen):
    """`output y: T` in the body of an `extern`: signatures, for there is no value."""

    signatures: tuple[ast.Signature, ...]


class _Body(Frozen):
    """What stands between the braces of a layer or an `extern`."""

    statements: tuple[Any, ...]


class _Parameters(Frozen):
    """What stands between the parentheses after an item's name."""

    all: tuple[ast.Parameter, ...]


class _Wrapped(Frozen):
    """An optional part, such as `as name`, apart from others of its type."""

    value: Any


class Builder(ExpressionBuilder):
    """Builds whatever a file may hold."""

    # ------------------------------------------------------------------ files

    def _on_file(self, children: list[Any], span: Span) -> tuple[ast.Item, ...]:
        return tuple(without_tokens(children))

    def _on_expression(self, children: list[Any], span: Span) -> ast.Expr:
        return children[0]

    # ------------------------------------------------------------------ items

    def _on_use(self, children: list[Any], span: Span) -> ast.Use:
        return ast.Use(span, children[1].value, tuple_among(children) or (), first_of(children, ast.Ident))

    def _on_use_path(self, children: list[Any], span: Span) -> _Wrapped | ast.String:
        if children[0].type == "STRING":
            return read_string(span, self.diagnostics)
        return _Wrapped(tuple(name.name for name in self.idents(children)))

    def _on_use_names(self, children: list[Any], span: Span) -> tuple[ast.Ident, ...]:
        return self.idents(children)

    def _on_alias(self, children: list[Any], span: Span) -> ast.Ident:
        return self.ident(children[1])

    def _on_const(self, children: list[Any], span: Span) -> ast.Const:
        annotation = first_of(children, ast.TypeExpr)
        return ast.Const(span, self.ident(children[1]), annotation, children[-1], self._doc(span))

    def _on_function(self, children: list[Any], span: Span) -> ast.Fn:
        _, name, parameters = children[:3]
        result = first_of(children, ast.TypeExpr)
        return ast.Fn(span, self.ident(name), parameters.all, result, children[-1], self._doc(span))

    def _on_layer(self, children: list[Any], span: Span) -> ast.Layer:
        kind, name, *rest = children
        parameters, body = first_of(rest, _Parameters), first_of(rest, _Body)
        return ast.Layer(
            span,
            kind.text,
            self.ident(name),
            parameters.all if parameters else (),
            body.statements if body else None,
            None if body else rest[-1],
            self._doc(span),
        )

    def _on_parameters(self, children: list[Any], span: Span) -> _Parameters:
        parameters: list[ast.Parameter] = without_tokens(children)
        for parameter in parameters[:-1]:
            if parameter.variadic:
                message = f"`...{parameter.name.name}` must be the last parameter"
                self.diagnostics.add(Diagnostic("TRX0115", message, parameter.span, label="takes all that follow"))
        return _Parameters(tuple(parameters))

    def _on_parameter(self, children: list[Any], span: Span) -> ast.Parameter:
        variadic = children[0].text == "..."
        name, *rest = children[variadic:]
        default = rest[-1] if any(isinstance(part, Token) for part in rest) else None
        return ast.Parameter(span, self.ident(name), first_of(rest, ast.TypeExpr), default, variadic)

    def _on_annotation(self, children: list[Any], span: Span) -> ast.TypeExpr:
        return children[1]

    def _on_result(self, children: list[Any], span: Span) -> ast.TypeExpr:
        return children[1]

    def _on_extern(self, children: list[Any], span: Span) -> ast.Extern:
        _, kind, name, *rest = children
        target = next(part for part in rest if isinstance(part, Token) and part.type == "STRING")
        parameters, body = first_of(rest, _Parameters), first_of(rest, _Body)
        declared = first_of(rest, _Outputs)
        outputs = [part for part in body.statements if isinstance(part, _Outputs)] if body else []
        return ast.Extern(
            span,
            self.ident(kind),
            self.ident(name),
            parameters.all if parameters else (),
            tuple(one for part in ([declared] if declared else []) + outputs for one in part.signatures),
            read_string(self.span(target), self.diagnostics),
            tuple_among(rest),
            tuple(part for part in body.statements if not isinstance(part, _Outputs)) if body else (),
            self._doc(span),
        )

    def _on_yields(self, children: list[Any], span: Span) -> _Outputs:
        return _Outputs(tuple(without_tokens(children)))

    def _on_extern_output(self, children: list[Any], span: Span) -> _Outputs:
        return _Outputs(tuple(without_tokens(children)))

    def _on_extern_body(self, children: list[Any], span: Span) -> _Body:
        return _Body(tuple(without_tokens(children)))

    # ---------------------------------------------------------------- records

    def _on_record(self, children: list[Any], span: Span) -> ast.Record:
        kind, name, *rest = children
        subject = first_of(rest, ast.Ident)
        return ast.Record(span, kind.text, self.ident(name), subject, rest[-1], self._doc(span))

    def _on_record_kind(self, children: list[Any], span: Span) -> Token:
        return children[0]

    def _on_subject(self, children: list[Any], span: Span) -> ast.Ident:
        return self.ident(children[1])

    def _on_fields(self, children: list[Any], span: Span) -> tuple[ast.RecordField, ...]:
        return tuple(without_tokens(children))

    def _on_assignment(self, children: list[Any], span: Span) -> ast.Field:
        return ast.Field(span, self.idents(children[:-1]), children[-1])

    def _on_rule(self, children: list[Any], span: Span) -> ast.Rule:
        *keys, target = without_tokens(children)
        return ast.Rule(span, tuple(keys), target)

    def _on_key(self, children: list[Any], span: Span) -> ast.Ident | ast.String:
        token: Token = children[0]
        return read_string(span, self.diagnostics) if token.type == "STRING" else self.ident(token)

    def _on_subrecord(self, children: list[Any], span: Span) -> ast.SubRecord:
        return ast.SubRecord(span, self.ident(children[0]), children[1])

    # ------------------------------------------------------------- statements

    def _on_body(self, children: list[Any], span: Span) -> _Body:
        return _Body(tuple(without_tokens(children)))

    def _on_input(self, children: list[Any], span: Span) -> ast.Input:
        return ast.Input(span, tuple(without_tokens(children)))

    def _on_signature(self, children: list[Any], span: Span) -> ast.Signature:
        return ast.Signature(span, self.ident(children[0]), children[2], children[4] if children[4:] else None)

    def _on_output(self, children: list[Any], span: Span) -> ast.Output:
        return ast.Output(span, None, None, children[1])

    def _on_named_output(self, children: list[Any], span: Span) -> ast.Output:
        return ast.Output(span, self.ident(children[1]), first_of(children, ast.TypeExpr), children[-1])

    def _on_param(self, children: list[Any], span: Span) -> ast.Param:
        _, name, _, type_, _, initializer, *rest = children
        return ast.Param(span, self.ident(name), type_, initializer, rest[0].value if rest else None)

    def _on_condition(self, children: list[Any], span: Span) -> _Wrapped:
        return _Wrapped(children[1])

    def _on_state(self, children: list[Any], span: Span) -> ast.State:
        return ast.State(span, self.ident(children[1]), children[3], children[5])

    def _on_carry(self, children: list[Any], span: Span) -> ast.Carry:
        return ast.Carry(span, self.ident(children[1]), children[3], children[5])

    def _on_dim_declaration(self, children: list[Any], span: Span) -> ast.DimDecl:
        return ast.DimDecl(span, self.ident(children[1]), children[3])

    def _on_bind(self, children: list[Any], span: Span) -> ast.Bind:
        return ast.Bind(span, self.idents(children[:-1]), first_of(children, ast.TypeExpr), children[-1])

    def _on_next(self, children: list[Any], span: Span) -> ast.Next:
        return ast.Next(span, self.ident(children[1]), children[3])

    def _on_require(self, children: list[Any], span: Span) -> ast.Require:
        message = read_string(self.span(children[3]), self.diagnostics) if children[3:] else None
        return ast.Require(span, children[1], message)

    def _on_if_statement(self, children: list[Any], span: Span) -> ast.If:
        otherwise = first_of(children, _Wrapped)
        return ast.If(span, children[1], children[2].statements, otherwise.value if otherwise else ())

    def _on_otherwise(self, children: list[Any], span: Span) -> _Wrapped:
        branch = children[1]
        return _Wrapped(branch.statements if isinstance(branch, _Body) else (branch,))

    def _doc(self, span: Span) -> str:
        return doc_above(self.source.text, span.start)


def no_parameters() -> Any:
    """Stands where a list of parameters could not be read."""
    return _Parameters(())
