"""The nodes of types and statements."""

from __future__ import annotations

from typing import TypeAlias

from .expressions import Expr, Ident, Node, String


class PackDim(Node):
    """`...` (`name` is None) or `...name`: any number of dims."""

    name: Ident | None


Dim: TypeAlias = "PackDim | Expr"


class TypeExpr(Node):
    """`float[batch, seq, 4 * embed]?`. `dims` is None where there are no brackets, and () for `float[]`."""

    name: Ident
    dims: tuple[Dim, ...] | None
    optional: bool


# ----------------------------------------------------------------- statements


class Signature(Node):
    """`name: type = default`, in inputs and in what an `extern` yields."""

    name: Ident
    type: TypeExpr
    default: Expr | None


class Input(Node):
    """`input a: T, b: U`."""

    signatures: tuple[Signature, ...]


class Output(Node):
    """`output y: T = value` or `output value`; names may be several for a tuple, as in `output a, b = value`."""

    name: Ident | None
    type: TypeExpr | None
    value: Expr


class Param(Node):
    """`param w: T = initializer when condition`."""

    name: Ident
    type: TypeExpr
    initializer: Expr
    condition: Expr | None


class State(Node):
    """`state name: T = initializer`: a weight that training updates without gradients."""

    name: Ident
    type: TypeExpr
    initializer: Expr


class Carry(Node):
    """`carry name: T = initial`: a value carried along a dim by `recur`."""

    name: Ident
    type: TypeExpr
    initial: Expr


class DimDecl(Node):
    """`dim name = size`."""

    name: Ident
    size: Expr


class Bind(Node):
    """`a, b: T = value`; the type is there only with one name."""

    names: tuple[Ident, ...]
    type: TypeExpr | None
    value: Expr


class Next(Node):
    """`next name = value`."""

    name: Ident
    value: Expr


class Require(Node):
    """`require condition, "message"`."""

    condition: Expr
    message: String | None


class If(Node):
    """`if condition { … } else { … }` over statements, decided at compile time; `else if` nests."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


Statement: TypeAlias = Input | Output | Param | State | Carry | DimDecl | Bind | Next | Require | If
