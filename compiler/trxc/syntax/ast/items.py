"""The nodes of what a file is made of: items, and the fields of records."""

from __future__ import annotations

from dataclasses import field
from typing import Literal, TypeAlias

from .expressions import Argument, Expr, Ident, Node, String
from .statements import Signature, Statement, TypeExpr


class Parameter(Node):
    """A compile-time parameter of a layer, fn or extern: `name: T = default`; `...name: T` takes all the rest."""

    name: Ident
    type: TypeExpr | None
    default: Expr | None
    variadic: bool = False


class Use(Node):
    """`use std.attention (causal_mask) as a`; `path` is `("std", "attention")`, or one string with a file's path."""

    path: tuple[str, ...] | str
    names: tuple[Ident, ...]
    alias: Ident | None


class Const(Node):
    """`const name: T = value`."""

    name: Ident
    type: TypeExpr | None
    value: Expr
    doc: str = field(compare=False, default="")


class Fn(Node):
    """`fn name(parameters) -> T = body`."""

    name: Ident
    parameters: tuple[Parameter, ...]
    result: TypeExpr | None
    body: Expr
    doc: str = field(compare=False, default="")


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


class Extern(Node):
    """Something in Python: `extern kind name(parameters) -> fields from "module:attribute" (arguments) { … }`.

    A `layer` has a body with its inputs; its outputs, `output y: T` in the body, are in `yields`. The other kinds
    (`optimizer`, `schedule`, `initializer`, `source`, `transform`, `tokenizer`, `sampler`, `search`) are the library's
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


class Field(Node):
    """`path.to = value`."""

    path: tuple[Ident, ...]
    value: Expr


class SubRecord(Node):
    """`name { fields }`."""

    name: Ident
    fields: tuple[RecordField, ...]


class Rule(Node):
    """`a, b -> target` in a mesh, `"pattern" -> target` in a weight map."""

    keys: tuple[Ident | String, ...]
    target: Expr


RecordField: TypeAlias = Field | SubRecord | Rule


class Record(Node):
    """`train quick for GPT { … }`."""

    kind: RecordKind
    name: Ident
    subject: Ident | None
    fields: tuple[RecordField, ...]
    doc: str = field(compare=False, default="")


Item: TypeAlias = Use | Const | Fn | Layer | Extern | Record


class File(Node):
    """A whole file: its items in order, and the comment block that heads it."""

    items: tuple[Item, ...]
    doc: str = field(compare=False, default="")
