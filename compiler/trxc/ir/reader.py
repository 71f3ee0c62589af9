"""Reads the text that :mod:`trxc.ir.printer` writes: ``to_text(from_text(text)) == text`` for every printed text.

The syntax is that of `grammar/ir.lark`. Values must be defined before they are used; whether a definition can be seen
from the use, and all that types say, is left to the verifier. Lark is loaded when the first text is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from ..dims import Dim, DimError, dim
from ..resources import grammar_file
from ..types import DTYPES, Axis, DType, TensorType, axis
from .ir import Attribute, Function, Initializer, Module, Parameter, Path
from .nodes import (
    ArgumentsNode,
    AttributesNode,
    BlockNode,
    IRSyntaxError,
    NameNode,
    Note,
    OperandsNode,
    OpNode,
    OutputsNode,
    RegionNode,
    Resolver,
    Role,
    TypedNode,
    Word,
)

_CONSTANTS: dict[str, Attribute] = {
    "true": True, "false": False, "none": None, "inf": float("inf"), "nan": float("nan"), **DTYPES
}  # fmt: skip


def from_text(text: str) -> Module:
    """The module that a text describes.

    Raises:
        IRSyntaxError: the text is none, or uses a value that it has not defined.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput

    try:
        return _parser()(text)
    except UnexpectedInput as unexpected:
        stray = isinstance(unexpected, UnexpectedCharacters)
        error: Any = unexpected  # Lark's annotations leave its attributes unknown
        if stray:
            raise IRSyntaxError(f"unexpected character {error.char!r}", error.line) from None
        if error.token.type == "$END":
            raise IRSyntaxError("the text ends too early", text.count("\n") + 1) from None
        raise IRSyntaxError(f"unexpected `{error.token}`", error.line) from None


@cache
def _parser() -> Callable[[str], Module]:
    from lark import Lark

    actions: Any = _Actions()
    grammar = grammar_file("ir.lark").read_text(encoding="utf-8")
    lark: Any = Lark(grammar, parser="lalr", lexer="contextual", transformer=actions, maybe_placeholders=False)
    return lark.parse


class _Actions:
    """What each rule of the grammar becomes; called from the leaves up, with the children in order."""

    def __init__(self) -> None:
        self.line = 1  # of the last number or symbol in a size, for sizes that cannot be computed

    def start(self, children: list[Any]) -> Module:
        """The module."""
        name, *items = children
        module = Module(name.text)
        for item in items:
            if isinstance(item, Role):
                module.roles[item.name] = item.function
                continue
            function, line = item
            if function.name in module.functions:
                raise IRSyntaxError(f"the function `{function.name}` is defined twice", line)
            module.functions[function.name] = function
        return module

    def role(self, children: list[Word]) -> Role:
        """Which function plays a role."""
        return Role(children[0].text, children[1].text)

    def function(self, children: list[Any]) -> tuple[Function, int]:
        """A function, and the line that it begins on."""
        name, arguments, *rest = children
        *items, block = rest
        function = Function(name.text, Resolver().region(arguments, block, 0))
        for item in items:
            if isinstance(item, OutputsNode):
                function.output_names = item.names
            elif isinstance(item, Note):
                setattr(function, item.kind, item.text)
            elif item.path in function.parameters:
                raise IRSyntaxError(f"`{item.name}` is declared twice", name.line)
            else:
                function.parameters[item.path] = item
        return function, name.line

    def arguments(self, children: list[TypedNode]) -> ArgumentsNode:
        """The arguments of a function or region."""
        return ArgumentsNode(children)

    def outputs(self, children: list[Word]) -> OutputsNode:
        """The names of a function's results."""
        return OutputsNode([word.text for word in children])

    def note(self, children: list[Any]) -> Note:
        """A title or a documentation."""
        return Note(str(children[0]), _unquoted(children[1]))

    def declaration(self, children: list[Any]) -> Parameter:
        """A weight or a state."""
        kind, path, type_, initializer = children
        return Parameter(path, type_, initializer, trainable=kind == "weight")

    def initializer(self, children: list[Any]) -> Initializer:
        """How a weight starts."""
        name, *pairs, target = children
        return Initializer(name.text, _unquoted(target), tuple(pairs))

    def path(self, children: list[Word]) -> Path:
        """A parameter's path."""
        return tuple(word.text for word in children)

    def block(self, children: list[Any]) -> BlockNode:
        """Ops, then the results."""
        ops = [child for child in children if isinstance(child, OpNode)]
        return BlockNode(ops, [child for child in children if isinstance(child, NameNode)])

    def op(self, children: list[Any]) -> OpNode:
        """One operation."""
        (kind,) = (child for child in children if isinstance(child, Word))
        (operands,) = (child for child in children if isinstance(child, OperandsNode))
        attributes = next((child for child in children if isinstance(child, AttributesNode)), AttributesNode({}))
        results = [child for child in children if isinstance(child, TypedNode)]
        regions = [child for child in children if isinstance(child, RegionNode)]
        return OpNode(results, kind, operands, attributes, regions)

    def operands(self, children: list[NameNode]) -> OperandsNode:
        """The operands of an op."""
        return OperandsNode(children)

    def attributes(self, children: list[tuple[str, Attribute]]) -> AttributesNode:
        """The attributes of an op, in order."""
        return AttributesNode(dict(children))

    def region(self, children: list[Any]) -> RegionNode:
        """A region of an op."""
        return RegionNode(*children)

    def typed(self, children: list[Any]) -> TypedNode:
        """A value that is defined."""
        return TypedNode(*children)

    def type(self, children: list[Any]) -> TensorType:
        """A dtype and axes."""
        token, *axes = children
        return TensorType(_dtype(token), tuple(axes))

    def axis(self, children: list[Dim]) -> Axis:
        """An axis that is just a size."""
        return axis(children[0])

    def named_axis(self, children: list[Any]) -> Axis:
        """An axis with a name, or `_` for none."""
        label, size = children
        return Axis(size, label)

    def label(self, children: list[Any]) -> str | None:
        """An axis' name."""
        (token,) = children
        return _unquoted(token) if token.type == "STRING" else None if token == "_" else str(token)

    def natural(self, children: list[Any]) -> Dim:
        """An integer as a size."""
        self.line = children[0].line
        return dim(_int(children[0]))

    def symbol(self, children: list[Any]) -> Dim:
        """A symbol as a size."""
        self.line = children[0].line
        return dim(str(children[0]))

    def negative(self, children: list[Dim]) -> Dim:
        """`-a`."""
        return -children[0]

    def sum(self, children: list[Dim]) -> Dim:
        """`a + b`."""
        return self._compute(lambda: children[0] + children[1])

    def difference(self, children: list[Dim]) -> Dim:
        """`a - b`."""
        return self._compute(lambda: children[0] - children[1])

    def product(self, children: list[Dim]) -> Dim:
        """`a * b`."""
        return self._compute(lambda: children[0] * children[1])

    def quotient(self, children: list[Dim]) -> Dim:
        """`a / b`."""
        return self._compute(lambda: children[0].divided_by(children[1]))

    def power(self, children: list[Any]) -> Dim:
        """`a ^ n`."""
        return self._compute(lambda: children[0] ** _int(children[1]))

    def floor(self, children: list[Dim]) -> Dim:
        """`a // b`."""
        return self._compute(lambda: children[0] // children[1])

    def mod(self, children: list[Dim]) -> Dim:
        """`a % b`."""
        return self._compute(lambda: children[0] % children[1])

    def _compute(self, compute: Callable[[], Dim]) -> Dim:
        try:
            return compute()
        except DimError as error:
            raise IRSyntaxError(str(error), self.line) from None
        except RecursionError:
            raise IRSyntaxError("the size is nested too deep", self.line) from None

    def pair(self, children: list[Any]) -> tuple[str, Attribute]:
        """A named attribute."""
        return children[0].text, children[1]

    def number(self, children: list[Any]) -> int | float:
        """An int, or a float where a point or an exponent says so."""
        (token,) = children
        return _int(token) if str(token).lstrip("-").isdigit() else float(token)

    def string(self, children: list[Any]) -> str:
        """A string."""
        return _unquoted(children[0])

    def constant(self, children: list[Any]) -> Attribute:
        """A word that stands for itself: a dtype, `true`, `false`, `none`, `inf`, `nan`."""
        (token,) = children
        return _CONSTANTS[token] if token in _CONSTANTS else _dtype(token)

    def tuple(self, children: list[Attribute]) -> Attribute:
        """A tuple."""
        return tuple(children)

    def word(self, children: list[Any]) -> Word:
        """The name of something that is not a value."""
        (token,) = children
        return Word(_unquoted(token) if token.type == "STRING" else str(token), token.line)

    def name(self, children: list[Any]) -> NameNode:
        """The name of a value."""
        (token,) = children
        if token.type == "LOCAL":
            return NameNode(("unnamed", str(token)), None, token.line)
        text = _unquoted(token) if token.type == "STRING" else str(token)
        return NameNode(("named", text), text, token.line)


def _unquoted(token: Any) -> str:
    try:
        text: str = json.loads(token)
    except ValueError:
        raise IRSyntaxError(f"{token} is not a JSON string", token.line) from None
    return text


def _int(token: Any) -> int:
    try:
        return int(token)
    except ValueError:
        raise IRSyntaxError("the number has too many digits", token.line) from None


def _dtype(token: Any) -> DType:
    if token not in DTYPES:
        raise IRSyntaxError(f"`{token}` is no dtype", token.line)
    return DTYPES[token]
