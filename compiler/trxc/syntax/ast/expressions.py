"""The nodes of expressions, and what all nodes have in common."""

from __future__ import annotations

from dataclasses import field
from typing import Literal, TypeAlias

from ...frozen import Frozen
from ...source import Span


class Node(Frozen):
    """Anything with a place in the text."""

    span: Span = field(compare=False, repr=False)


class Ident(Node):
    """A name where it is introduced or referred to as a bare word (`q` in `q = …`, `tokens` in `input tokens: …`)."""

    name: str


class Name(Node):
    """A name used as an expression."""

    name: str


class Number(Node):
    """`1_000` is an int, `1e-3` and `2.0` are floats."""

    value: int | float


class String(Node):
    """A string, escapes already read: `\\n \\t \\\\ \\" \\u{1F600}`."""

    value: str


class Bool(Node):
    """`true` or `false`."""

    value: bool


class NoneValue(Node):
    """`none`."""


class EllipsisValue(Node):
    """`...` inside an index."""


class TupleExpr(Node):
    """`(a, b)`."""

    items: tuple[Expr, ...]


class ListExpr(Node):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class Comprehension(Node):
    """`[item for name in over]`, `[item for name in over if condition]`."""

    item: Expr
    name: Ident
    over: Expr
    condition: Expr | None


class Argument(Node):
    """One argument of a call; `name` is set for `name = value`."""

    name: Ident | None
    value: Expr


class Call(Node):
    """`function(arguments)`."""

    function: Expr
    arguments: tuple[Argument, ...]


class Attribute(Node):
    """`value.name`."""

    value: Expr
    name: Ident


class Names(Node):
    """`value.{a, b}`, in weight maps."""

    value: Expr
    names: tuple[Ident, ...]


class Slice(Node):
    """`start:stop` inside an index; either may be absent."""

    start: Expr | None
    stop: Expr | None


class Index(Node):
    """`value[items]`; items are expressions, slices and `...`."""

    value: Expr
    items: tuple[Expr, ...]


class Unary(Node):
    """`-x`, `+x`, `not x`."""

    operator: Literal["-", "+", "not"]
    operand: Expr


BinaryOperator: TypeAlias = Literal[
    "+", "-", "*", "/", "//", "%", "@", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"
]


class Binary(Node):
    """Arithmetic, comparison and logic of two operands."""

    operator: BinaryOperator
    left: Expr
    right: Expr
    operator_span: Span = field(compare=False, repr=False)


class Pipe(Node):
    """`value |> function`."""

    value: Expr
    function: Expr


class Compose(Node):
    """`first >> second`."""

    first: Expr
    second: Expr


class IfExpr(Node):
    """`if condition { then } else { otherwise }`, decided at compile time."""

    condition: Expr
    then: Expr
    otherwise: Expr


class Lambda(Node):
    """`fn(a, b) => body`."""

    parameters: tuple[Ident, ...]
    body: Expr


class NextValue(Node):
    """`next c` as an expression: the new value of a carry or a state."""

    name: Ident


class Malformed(Node):
    """Stands where an expression could not be read; its error has been reported already."""


Expr: TypeAlias = (
    Name
    | Number
    | String
    | Bool
    | NoneValue
    | EllipsisValue
    | TupleExpr
    | ListExpr
    | Comprehension
    | Call
    | Attribute
    | Names
    | Slice
    | Index
    | Unary
    | Binary
    | Pipe
    | Compose
    | IfExpr
    | Lambda
    | NextValue
    | Malformed
)
