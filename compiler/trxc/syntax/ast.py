"""The syntax tree: what a `.trx` file says, before anything is known about what it means.

Plain frozen dataclasses, each with the :class:`~trxc.source.Span` it was read from. Spans and documentation
take no part in equality, so two trees are equal when they say the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..source import Span


@dataclass(frozen=True)
class Node:
    """Anything with a place in the text."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Ident(Node):
    """A name where it is introduced or referred to as a bare word (`q` in `q = …`, `tokens` in `input tokens: …`)."""

    name: str


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Name(Node):
    """A name used as an expression."""

    name: str


@dataclass(frozen=True)
class Number(Node):
    """`1_000` is an int, `1e-3` and `2.0` are floats."""

    value: int | float


@dataclass(frozen=True)
class String(Node):
    """A string, escapes already read: `\\n \\t \\\\ \\" \\u{1F600}`."""

    value: str


@dataclass(frozen=True)
class Bool(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True)
class NoneValue(Node):
    """`none`."""


@dataclass(frozen=True)
class EllipsisValue(Node):
    """`...` inside an index."""


@dataclass(frozen=True)
class TupleExpr(Node):
    """`(a, b)`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True)
class ListExpr(Node):
    """`[a, b]`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Comprehension(Node):
    """`[item for name in over]`, `[item for name in over if condition]`."""

    item: Expr
    name: Ident
    over: Expr
    condition: Expr | None


@dataclass(frozen=True)
class Argument(Node):
    """One argument of a call; `name` is set for `name = value`."""

    name: Ident | None
    value: Expr


@dataclass(frozen=True)
class Call(Node):
    """`function(arguments)`."""

    function: Expr
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Attribute(Node):
    """`value.name`."""

    value: Expr
    name: Ident


@dataclass(frozen=True)
class Names(Node):
    """`value.{a, b}`, in weight maps."""

    value: Expr
    names: tuple[Ident, ...]


@dataclass(frozen=True)
class Slice(Node):
    """`start:stop` inside an index; either may be absent."""

    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True)
class Index(Node):
    """`value[items]`; items are expressions, slices and `...`."""

    value: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Unary(Node):
    """`-x`, `+x`, `not x`."""

    operator: Literal["-", "+", "not"]
    operand: Expr


BinaryOperator: TypeAlias = Literal[
    "+", "-", "*", "/", "//", "%", "@", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"
]


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic, comparison and logic of two operands."""

    operator: BinaryOperator
    left: Expr
    right: Expr
    operator_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Pipe(Node):
    """`value |> function`."""

    value: Expr
    function: Expr


@dataclass(frozen=True)
class Compose(Node):
    """`first >> second`."""

    first: Expr
    second: Expr


@dataclass(frozen=True)
class IfExpr(Node):
    """`if condition { then } else { otherwise }`, decided at compile time."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True)
class Lambda(Node):
    """`fn(a, b) => body`."""

    parameters: tuple[Ident, ...]
    body: Expr


@dataclass(frozen=True)
class NextValue(Node):
    """`next c` as an expression: the new value of a carry or a state."""

    name: Ident


@dataclass(frozen=True)
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

# ---------------------------------------------------------------------- types


@dataclass(frozen=True)
class PackDim(Node):
    """`...` (`name` is None) or `...name`: any number of dims."""

    name: Ident | None


Dim: TypeAlias = "PackDim | Expr"


@dataclass(frozen=True)
class TypeExpr(Node):
    """`float[batch, seq, 4 * embed]?`. `dims` is None where there are no brackets, and () for `float[]`."""

    name: Ident
    dims: tuple[Dim, ...] | None
    optional: bool


# ----------------------------------------------------------------- statements


@dataclass(frozen=True)
class Signature(Node):
    """`name: type = default`, in inputs and in what an `extern` yields."""

    name: Ident
    type: TypeExpr
    default: Expr | None


@dataclass(frozen=True)
class Input(Node):
    """`input a: T, b: U`."""

    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Output(Node):
    """`output y: T = value` or `output value`; names may be several for a tuple, as in `output a, b = value`."""

    name: Ident | None
    type: TypeExpr | None
    value: Expr


@dataclass(frozen=True)
class Param(Node):
    """`param w: T = initializer when condition`."""

    name: Ident
    type: TypeExpr
    initializer: Expr
    condition: Expr | None


@dataclass(frozen=True)
class State(Node):
    """`state name: T = initializer`: a weight that training updates without gradients."""

    name: Ident
    type: TypeExpr
    initializer: Expr


@dataclass(frozen=True)
class Carry(Node):
    """`carry name: T = initial`: a value carried along a dim by `recur`."""

    name: Ident
    type: TypeExpr
    initial: Expr


@dataclass(frozen=True)
class DimDecl(Node):
    """`dim name = size`."""

    name: Ident
    size: Expr


@dataclass(frozen=True)
class Bind(Node):
    """`a, b: T = value`; the type is there only with one name."""

    names: tuple[Ident, ...]
    type: TypeExpr | None
    value: Expr


@dataclass(frozen=True)
class Next(Node):
    """`next name = value`."""

    name: Ident
    value: Expr


@dataclass(frozen=True)
class Require(Node):
    """`require condition, "message"`."""

    condition: Expr
    message: String | None


@dataclass(frozen=True)
class If(Node):
    """`if condition { … } else { … }` over statements, decided at compile time; `else if` nests."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


Statement: TypeAlias = Input | Output | Param | State | Carry | DimDecl | Bind | Next | Require | If

# ---------------------------------------------------------------------- items


@dataclass(frozen=True)
class Parameter(Node):
    """A compile-time parameter of a layer, fn or extern: `name: T = default`; `...name: T` takes all the rest."""

    name: Ident
    type: TypeExpr | None
    default: Expr | None
    variadic: bool = False


@dataclass(frozen=True)
class Use(Node):
    """`use std.attention (causal_mask) as a`; `path` is `("std", "attention")`, or one string with a file's path."""

    path: tuple[str, ...] | str
    names: tuple[Ident, ...]
    alias: Ident | None


@dataclass(frozen=True)
class Const(Node):
    """`const name: T = value`."""

    name: Ident
    type: TypeExpr | None
    value: Expr
    doc: str = field(compare=False, default="")


@dataclass(frozen=True)
class Fn(Node):
    """`fn name(parameters) -> T = body`."""

    name: Ident
    parameters: tuple[Parameter, ...]
    result: TypeExpr | None
    body: Expr
    doc: str = field(compare=False, default="")


@dataclass(frozen=True)
class Layer(Node):
    """`layer Name(parameters) { … }` or `layer Name(parameters) = expression`; also `model`.

    Exactly one of `body` (statements) and `value` (the expression) is set.
    """

    kind: Literal["layer", "model"]
    name: Ident
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...] | None
    value: Expr | None
    doc: str = field(compare=False, default="")


@dataclass(frozen=True)
class Extern(Node):
    """Something in Python: `extern kind name(parameters) -> fields from "module:attribute" (arguments) { … }`.

    A `layer` has a body with its inputs; its outputs, `output y: T` in the body, are in `yields`. The other kinds
    (`optimizer`, `schedule`, `initializer`, `source`, `transform`, `tokenizer`, `sampler`) are the library's
    declaration lines: what they take, which fields they yield, the Python callable, and, where its argument names
    differ, how they map.
    """

    kind: Ident
    name: Ident
    parameters: tuple[Parameter, ...]
    yields: tuple[Signature, ...]
    target: String
    arguments: tuple[Argument, ...] | None
    body: tuple[Statement, ...]
    doc: str = field(compare=False, default="")


RecordKind: TypeAlias = Literal["data", "train", "generate", "weights", "evaluate", "mesh"]


@dataclass(frozen=True)
class Field(Node):
    """`path.to = value`."""

    path: tuple[Ident, ...]
    value: Expr


@dataclass(frozen=True)
class SubRecord(Node):
    """`name { fields }`."""

    name: Ident
    fields: tuple[RecordField, ...]


@dataclass(frozen=True)
class Rule(Node):
    """`a, b -> target` in a mesh, `"pattern" -> target` in a weight map."""

    keys: tuple[Ident | String, ...]
    target: Expr


RecordField: TypeAlias = Field | SubRecord | Rule


@dataclass(frozen=True)
class Record(Node):
    """`train quick for GPT { … }`."""

    kind: RecordKind
    name: Ident
    subject: Ident | None
    fields: tuple[RecordField, ...]
    doc: str = field(compare=False, default="")


Item: TypeAlias = Use | Const | Fn | Layer | Extern | Record


@dataclass(frozen=True)
class File(Node):
    """A whole file: its items in order, and the comment block that heads it."""

    items: tuple[Item, ...]
    doc: str = field(compare=False, default="")
